"""Texts that look like dates or numbers in a form that is not read: refused, never categories."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from tunecli.data.cell_values import Where
from tunecli.data.unread_numbers import SAMPLE
from tunecli.errors import DataError

_MOST_MONTHS = 24
"""Names of months in a column, abbreviations among them."""
_MONTHS = frozenset(
    "januar jänner februar märz mai juni juli oktober dezember jan feb mär mrz apr jun jul aug "
    "okt nov dez sep sept april august september november "
    "janvier février mars avril juin juillet août septembre octobre novembre décembre "
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre "
    "gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre "
    "janeiro fevereiro março maio junho julho setembro outubro novembro dezembro "
    "januari februari maart mei augustus oktober december".split()
)
"""German, French, Spanish, Italian, Portuguese and Dutch; English ones are read."""


@dataclass(frozen=True)
class _Lookalike:
    """A way to write that is not read.

    Attributes:
        what: is written so.
        pattern: of a whole text.
        way: to write it instead.
        fits: whether all texts of the pattern together are of this kind.
    """

    what: str
    pattern: re.Pattern[str]
    way: str
    fits: Callable[[Sequence[re.Match[str]]], bool]


def _are_months(found: Sequence[re.Match[str]]) -> bool:
    words = {one["month"].casefold() for one in found}
    return len(words) <= _MOST_MONTHS


def _are_known_months(found: Sequence[re.Match[str]]) -> bool:
    return all(one["month"].casefold() in _MONTHS for one in found)


def _has_lakhs(found: Sequence[re.Match[str]]) -> bool:
    return any(one["lakhs"] for one in found)


def _any(_: Sequence[re.Match[str]]) -> bool:
    return True


_DAY, _YEAR, _AT = r"(?:0?[1-9]|[12]\d|3[01])", r"[12]\d{3}", r"(?:[ ,T]+\d{1,2}:\d{2}.*)?"
_NAME = r"(?P<month>[^\W\d_]{3,})\.?"
_AS_DATES = "Write them as 2026-01-31"
_LOOKALIKES = tuple(
    _Lookalike(what, re.compile(pattern), way, fits)
    for what, pattern, way, fits in (
        (
            "dates",
            rf"(?:[^\W\d_]+\.?,?\s+)?{_DAY}(?:\.|º|er)?[ -]?(?:de\s+)?{_NAME},?[ -]?"
            rf"(?:de\s+)?{_YEAR}{_AT}",
            _AS_DATES,
            _are_months,
        ),
        ("dates", rf"{_NAME}\s+{_DAY}\.?,?\s+{_YEAR}{_AT}", _AS_DATES, _are_months),
        ("dates", rf"{_NAME}(?:\s+de)?[ -]{_YEAR}", "Write them as 2026-01", _are_known_months),
        (
            "dates",
            rf"{_YEAR}[年년]\s?\d{{1,2}}[月월](?:\s?\d{{1,2}}[日일])?{_AT}",
            _AS_DATES,
            _any,
        ),
        (
            "minutes and seconds",
            r"-?\d{1,3}:[0-5]\d(?:[.,]\d+)?",
            "Write seconds as numbers",
            _any,
        ),
        (
            "numbers with groups of two digits",
            r"-?(?:₹|Rs\.?|INR)?\s*-?\d{1,2}(?P<lakhs>(?:,\d\d)+)?(?:,\d{3}|\d?)(?:\.\d*)?",
            "Write them without commas",
            _has_lakhs,
        ),
    )
)


def refuse_lookalikes(
    series: pd.Series, where: Where, way_out: str = "categorical: [{0}] or drop: [{0}]"
) -> None:
    """Refuse a column of texts most of which look like dates or numbers that are not read.

    Args:
        series: of texts that are read neither as numbers nor as dates.
        way_out: what to write instead.

    Raises:
        DataError: with the first such cell.
    """
    texts = [str(cell).strip() for cell in series.dropna().unique()]
    some = texts[:: max(1, len(texts) // SAMPLE)]
    for one in _LOOKALIKES:
        found = [match for match in map(one.pattern.fullmatch, some) if match]
        if 2 * len(found) > len(some) and one.fits(found):
            first = next(match[0] for match in found if all(match.groupdict().values()))
            row = next(row for row, cell in enumerate(series) if str(cell).strip() == first)
            raise DataError(
                f"column {series.name!r} looks like {one.what}, but {first[:50]!r} in "
                f"{where(row)} is in a form that is not read. {one.way}, or write "
                f"{way_out.format(series.name)}.",
                "data.source",
            )
