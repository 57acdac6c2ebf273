"""Refuse columns of numbers or dates in which cells cannot be read, and suggest settings.

Unless the user names its kind, a column is refused, never guessed, if the distinct texts in it are

- numbers, and words that mean a missing value, such as NA, - or ?, however many cells have them;
- for the most part numbers in a known form: a decimal comma, thousands, percent, currency, units;
- numbers and a few other texts: at most ten, with at least five times as many numbers, or if at
  least 95 % of the cells are numbers.

Texts that look like dates or numbers in a form that is not read are refused, too. Everything else,
such as codes (V57 and 250.83) or grades (1, 2, 3+), is categories.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.cell_values import Where, is_text
from tunecli.data.columns.number_forms import NumberForm
from tunecli.errors import DataError
from tunecli.study_file.text.suggestions import listed

MOSTLY_NUMBERS = 0.95
FEW_TEXTS = 10
NUMBERS_A_TEXT = 5
FEWEST_MEASURES = 20
"""Letters after at least this many distinct numbers are a unit, not part of a code."""
SAMPLE = 1000

MISSING_WORDS = frozenset(
    "na n/a n.a. n.a <na> #n/a #na nan -nan nat null #null! none nil void missing empty unknown "
    "unk undefined undef nd n.d. n/d k.a. not_available not_applicable no_data keine_angabe - -- "
    "--- \u2013 \u2014 . .. ... ? ?? ??? * ** / # #div/0! #value! #ref! #name? #num! \\n".split()
)
"""Words that people write for a missing number; compared without case."""

_PERCENT = {"%", "\u2030", "percent", "pct"}
_CURRENCIES = set(
    "USD EUR GBP CHF JPY CNY INR AUD CAD SEK NOK DKK PLN CZK BRL R$ Rs kr z\u0142".split()
)
_AROUND = re.compile(
    r"[+-]?(?P<before>[^\d\s+-]*)\s*[+-]?\d[\d.,'\u2019_ \u00a0\u2009\u202f]*(?P<after>[^\d]*)",
    re.ASCII,
)


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
class Unread:
    """A column of numbers with cells that cannot be read.

    Attributes:
        rows: the rows of these cells; at least one.
        cell: the text of the first one.
        forms: the forms of numbers in which they could be read; several if it is unclear which is
            meant, none if they are not numbers.
        words: the texts that mean a missing value.
        others: the texts that are neither numbers nor such words.
        are_mixed: whether the numbers are written in several forms.
    """

    column: str
    rows: NDArray[np.int64]
    cell: str
    forms: tuple[NumberForm, ...]
    words: tuple[str, ...]
    others: tuple[str, ...] = ()
    are_mixed: bool = False


def unread(series: pd.Series, form: NumberForm) -> Unread | None:
    """Find the unreadable cells of a column of numbers; None if it is not one, or has none.

    Args:
        form: the form in which its numbers are read.
    """
    if not is_text(series):
        return None
    codes, cells = pd.factorize(series)
    texts = [str(cell).strip() for cell in cells]
    bad = np.isnan(form.numbers(texts))
    if not bad.any():
        return None
    is_word = bad & [text.casefold().replace(" ", "_") in MISSING_WORDS for text in texts]
    rest = bad & ~is_word
    n_numbers, n_rest = int((~bad).sum()), int(rest.sum())
    each = np.array(texts, dtype=object)
    forms, are_mixed = _other_forms(each[~is_word].tolist(), form)
    share = (~bad)[codes[codes >= 0]].mean()
    is_few = n_rest <= FEW_TEXTS and (
        n_numbers >= NUMBERS_A_TEXT * n_rest or share >= MOSTLY_NUMBERS
    )
    is_form = bool(forms) or are_mixed
    if not (is_form or (is_few and n_numbers)):
        return None
    rows = np.flatnonzero(np.append(bad, False)[codes])
    others = () if is_form else tuple(each[rest])
    name, cell = str(series.name), texts[codes[rows[0]]]
    return Unread(name, rows, cell, forms, tuple(each[is_word]), others, are_mixed)


def text_among_numbers(series: pd.Series, bad: NDArray[np.bool_], where: Where) -> str:
    """Return the message on the first text in a column that must hold numbers."""
    first = int(bad.argmax())
    cell = str(series.iloc[first])[:50]
    others = f" (and {bad.sum() - 1:,} more)" if bad.sum() > 1 else ""
    has_numbers = bool((series.notna() & ~bad).any())
    are_few = series[bad].nunique() <= FEW_TEXTS and not any(c.isdigit() for c in cell)
    missing = f"missing: [{cell!r}], or " if has_numbers and are_few else ""
    holds = "numbers, but also" if has_numbers else "no numbers:"
    return (
        f"column {series.name!r} has {holds} {cell!r} in {where(first)}{others}. "
        f"Correct it, or write {missing}categorical: [{series.name}]."
    )


def refuse_unread(
    series: pd.Series, form: NumberForm, where: Where, setting: str, way_out: str
) -> None:
    """Refuse the cells of a column of numbers that must be complete, at its setting.

    Args:
        way_out: see `refusals`.

    Raises:
        DataError: some cells cannot be read.
    """
    if (unreadable := unread(series, form)) is not None:
        (refusal,) = refusals([unreadable], form, (), where, way_out, may_lack=False)
        raise DataError(refusal.message, setting)


def refusals(
    columns: Sequence[Unread],
    form: NumberForm,
    missing: Sequence[str],
    where: Where,
    way_out: str = "categorical: [{}]",
    may_lack: bool = True,
) -> Iterator[DataError]:
    """Yield an error for each column; they list the missing words of all columns together.

    Args:
        form: the form in which they were read.
        missing: the words that count as missing already.
        way_out: what to write instead of a form of numbers.
        may_lack: whether cells may be missing.
    """
    words = list(dict.fromkeys([*missing, *(word for one in columns for word in one.words)]))
    units = {unit: None for one in columns for wanted in one.forms for unit in wanted.units}
    for one in columns:
        remedy = _remedy(one, form, words, list(units), may_lack)
        ways = f"{remedy}, or {way_out.format(one.column)}"
        more = f" (and {len(one.rows) - 1:,} more)" if len(one.rows) > 1 else ""
        first = f"{one.cell[:50]!r} in {where(int(one.rows[0]))}{more}"
        message = f"column {one.column!r} has numbers, but also {first}. {ways}."
        yield DataError(message, "data.source")


def _remedy(
    one: Unread, form: NumberForm, words: Sequence[str], units: Sequence[str], may_lack: bool
) -> str:
    if one.are_mixed:
        return "Write all numbers of the column in one format"
    if one.others:
        lacking = f"write missing: {[*(words if one.words else ()), *one.others]}"
        return f"Correct it, or {lacking if may_lack else 'remove such rows'}"
    ways = " or ".join(" and ".join(_lines(wanted, form, units)) for wanted in one.forms)
    if one.words and not may_lack:
        also = f"Write {ways}, and remove" if ways else "Remove"
        return f"{also} rows with {listed(one.words)}"
    lines = [ways] if ways else []
    lines += [f"missing: {list(words)}"] if one.words else []
    return "Write " + " and ".join(lines)


def _lines(wanted: NumberForm, form: NumberForm, units: Sequence[str] = ()) -> Iterator[str]:
    """Yield the settings that turn one form into another."""
    if wanted.decimal != form.decimal:
        yield f"decimal: {wanted.decimal!r}"
    if wanted.thousands != form.thousands:
        yield f"thousands: {wanted.thousands!r}" if wanted.thousands else "thousands: none"
    if wanted.units != form.units:
        yield f"units: {list(units)}"


def _other_forms(texts: Sequence[str], form: NumberForm) -> tuple[tuple[NumberForm, ...], bool]:
    """Find the forms in which texts can be read as numbers.

    Returns:
        The simplest forms that read most of the texts, and more than the present form; and whether
        only several forms together read most of them.
    """
    some = texts[:: max(1, len(texts) // SAMPLE)]
    if sum(_AROUND.fullmatch(text) is not None for text in some) <= len(some) / 2:
        return (), False
    now = _are_read(some, form)
    read = {wanted: _are_read(some, wanted) for wanted in _candidates(form, _unit(some))}
    most = max(int(are.sum()) for are in read.values())
    best = [wanted for wanted, are in read.items() if are.sum() == most]
    if most > max(now.sum(), len(some) / 2):
        needed = [
            one for one in best if not one.thousands or replace(one, thousands=None) not in best
        ]
        n_settings = [len(list(_lines(one, form))) for one in needed]
        pairs = zip(needed, n_settings, strict=True)
        return tuple(one for one, n in pairs if n == min(n_settings)), False
    bare = [re.sub(r"^\((.*)\)$|(?<=\d)-$", r"\1", text) for text in some]  # (5), 5-: -5
    alone = ~np.isnan(form.numbers(bare, alone=True))
    others = np.any([alone, *read.values()], axis=0) & ~now
    return (), bool(others.sum() > (~now).sum() / 2)


def _candidates(form: NumberForm, unit: str) -> Iterator[NumberForm]:
    more = [(*form.units, unit)] if unit and unit not in form.units else []
    for units in (form.units, *more, ()):
        for thousands in (None, ",", ".", " ", "'", "_"):
            for decimal in (".", ","):
                wanted = NumberForm(decimal, thousands, units)
                if thousands != decimal and wanted != form:
                    yield wanted


def _are_read(texts: Sequence[str], form: NumberForm) -> NDArray[np.bool_]:
    return ~np.isnan(form.numbers(texts))


def _unit(texts: Sequence[str]) -> str:
    """Return the unit before or after the numbers of a column; empty for none."""
    around = [match for match in map(_AROUND.fullmatch, texts) if match]
    units = Counter((match["before"], match["after"].strip()) for match in around)
    units.pop(("", ""), 0)
    if not units:
        return ""
    (before, after), n = units.most_common(1)[0]
    unit = before or after
    is_sign = len(unit) == 1 and unicodedata.category(unit) == "Sc"
    is_known = unit.casefold() in _PERCENT or unit in _CURRENCIES or is_sign
    is_measure = not before and len(unit) <= 6 and n >= max(FEWEST_MEASURES, 0.9 * len(texts))
    return unit if (is_known or is_measure) and not (before and after) else ""


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
    pattern: str
    way: str
    fits: Callable[[Sequence[re.Match[str]]], bool] = bool


def _months(found: Sequence[re.Match[str]]) -> set[str]:
    return {one["month"].casefold() for one in found}


def _are_months(found: Sequence[re.Match[str]]) -> bool:
    return len(_months(found)) <= _MOST_MONTHS


_DAY, _YEAR, _AT = r"(?:0?[1-9]|[12]\d|3[01])", r"[12]\d{3}", r"(?:[ ,T]+\d{1,2}:\d{2}.*)?"
_NAME = r"(?P<month>[^\W\d_]{3,})\.?"
_DAY_FIRST = rf"(?:[^\W\d_]+\.?,?\s+)?{_DAY}(?:\.|º|er)?[ -]?(?:de\s+)?{_NAME},?[ -]?"
_AS_DATES = "Write them as 2026-01-31"
_LOOKALIKES = (
    _Lookalike("dates", rf"{_DAY_FIRST}(?:de\s+)?{_YEAR}{_AT}", _AS_DATES, _are_months),
    _Lookalike("dates", rf"{_NAME}\s+{_DAY}\.?,?\s+{_YEAR}{_AT}", _AS_DATES, _are_months),
    _Lookalike(
        "dates",
        rf"{_NAME}(?:\s+de)?[ -]{_YEAR}",
        "Write them as 2026-01",
        lambda found: _months(found) <= _MONTHS,
    ),
    _Lookalike(
        "dates", rf"{_YEAR}[年년]\s?\d{{1,2}}[月월](?:\s?\d{{1,2}}[日일])?{_AT}", _AS_DATES
    ),
    _Lookalike(
        "minutes and seconds", r"-?\d{1,3}:[0-5]\d(?:[.,]\d+)?", "Write seconds as numbers"
    ),
    _Lookalike(
        "numbers with groups of two digits",
        r"-?(?:₹|Rs\.?|INR)?\s*-?\d{1,2}(?P<lakhs>(?:,\d\d)+)?(?:,\d{3}|\d?)(?:\.\d*)?",
        "Write them without commas",
        lambda found: any(one["lakhs"] for one in found),
    ),
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
        found = [match for match in (re.fullmatch(one.pattern, text) for text in some) if match]
        if 2 * len(found) > len(some) and one.fits(found):
            first = next(match[0] for match in found if all(match.groupdict().values()))
            row = next(row for row, cell in enumerate(series) if str(cell).strip() == first)
            raise DataError(
                f"column {series.name!r} looks like {one.what}, but {first[:50]!r} in "
                f"{where(row)} is in an unsupported form. {one.way}, or write "
                f"{way_out.format(series.name)}.",
                "data.source",
            )
