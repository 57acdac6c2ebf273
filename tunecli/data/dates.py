"""Columns of dates, times of day and durations: what the cells of a table say, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.cell_values import Floats, Where, is_nested
from tunecli.data.date_texts import (
    DAY,
    FORMS,
    SECOND,
    DateKind,
    Ints,
    Marks,
    Moments,
    Order,
    read,
)
from tunecli.errors import DataError

MOST_STRAYS = 10
"""So many different texts among more dates are mistakes; more of them, among fewer dates than
half of the cells, make the column one of texts."""


@dataclass(frozen=True)
class DateForm:
    """How the dates of a column are read: decided once on the data, and stored with a model.

    Attributes:
        order: of day and month; empty where no cell needs one.
        is_aware: whether they have zones, so that they are UTC.
    """

    kind: DateKind
    order: Literal["", "day-first", "month-first"] = ""
    is_aware: bool = False


@dataclass(frozen=True)
class Dates:
    """The cells of one column.

    Attributes:
        seconds: (n,) since 1970-01-01, since midnight, or of a duration; 0 where missing.
        nanoseconds: (n,) from 0, to be added.
        missing: (n,).
    """

    form: DateForm
    seconds: Ints
    nanoseconds: Ints
    missing: Marks

    @property
    def elapsed(self) -> Floats:
        """Seconds; NaN where missing."""
        seconds: Floats = (self.seconds * float(SECOND) + self.nanoseconds) / SECOND
        seconds[self.missing] = np.nan
        return seconds

    @property
    def ranks(self) -> Ints:
        """The exact order of the cells, dense from 0; -1 where missing."""
        pairs = np.stack([self.seconds, self.nanoseconds], axis=1)[~self.missing]
        ranks = np.full(len(self.missing), -1)
        ranks[~self.missing] = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        return ranks


def spelling(seconds: int, nanoseconds: int, form: DateForm) -> str:
    """A time for people: `2026-01-31 10:30:00`, `10:30:00`, `2 days 10:30:00`."""
    days, rest = divmod(seconds, DAY)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    time = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}{fraction}"
    match form.kind:
        case "date":
            zone = "+00:00" if form.is_aware else ""
            return f"{np.datetime64(days, 'D')} {time}{zone}"
        case "time of day":
            return time if not days else "24:00:00"
        case "duration":
            return f"{days} days {time}"


def dates_in(
    series: pd.Series, asked: Order | None, where: Where, is_feature: bool = True
) -> Dates | None:
    """What a column says, if most of its cells are dates, times of day or durations; else None.

    Args:
        asked: the order of day and month where the cells leave it open.
        is_feature: whether the column may have holes, or categories.

    Raises:
        DataError: cells are no dates or not alike, or their order is open.
    """
    if (known := _native(series)) is not None:
        return known
    if pd.api.types.is_numeric_dtype(series.dtype) or is_nested(series):
        return None
    cells = _Cells.of(series, where)
    if not len(cells.texts):
        return None
    day_first = read(cells.texts, "day-first")
    has_order = _with_order(day_first).any()
    month_first = read(cells.texts, "month-first") if has_order else day_first
    by_order: dict[Order, Moments] = {"day-first": day_first, "month-first": month_first}
    kind = _kind(cells, list(by_order.values()))
    if kind is None:
        return None
    if kind == "duration":
        found, order = read(cells.texts, "day-first", kind), None
    else:
        order = _order(cells, by_order, asked)
        found = by_order[order or "day-first"]
    _refuse_others(cells, found, kind, is_feature)
    form = DateForm(kind, order or "", bool(found.is_aware.any()))
    return cells.dates(found, form)


def dates_as(
    series: pd.Series, form: DateForm, asked: Order | None, where: Where, name: str
) -> Dates:
    """New cells of a column whose form is known, each read for itself.

    Args:
        asked: the order of day and month where the form has none.
        name: of the column.

    Raises:
        DataError: a cell is of another form.
    """
    known = _native(series)
    if known is not None:
        if (known.form.kind, known.form.is_aware) != (form.kind, form.is_aware):
            raise DataError(
                f"column {name!r} must be {_wanted(form)}, but is {_wanted(known.form)}."
            )
        return known
    cells = _Cells.of(series, where)
    order = form.order or asked
    found = read(cells.texts, order or "day-first", form.kind)
    numbered = _with_order(found)
    good = found.exists & (found.is_aware == form.is_aware) & ~_lacks(found)
    good &= ~numbered if order is None else True
    if not good.all():
        cell, place = cells.first(~good)
        raise DataError(f"column {name!r} must be {_wanted(form)}, but {place} has {cell!r}.")
    return cells.dates(found, form)


def _wanted(form: DateForm) -> str:
    """For messages: `dates with a zone, such as 2026-01-31 10:30+01:00`."""
    match form.kind:
        case "date":
            zone = "+01:00" if form.is_aware else ""
            order = f", or {form.order}" if form.order else ""
            how = "with a zone" if form.is_aware else "without a zone"
            return f"dates {how}, such as 2026-01-31 or 2026-01-31 10:30{zone}{order}"
        case "time of day":
            return "times of day, such as 10:30"
        case "duration":
            return "durations, such as 1 days 10:30:00"


@dataclass(frozen=True)
class _Cells:
    """The different texts of a column, and where they are.

    Attributes:
        codes: (n_rows,) index into the texts; -1 for missing.
    """

    name: str
    texts: Sequence[str]
    codes: Ints
    where: Where

    @classmethod
    def of(cls, series: pd.Series, where: Where) -> _Cells:
        codes, cells = pd.factorize(series)
        texts = [str(cell) for cell in cells]
        return cls(str(series.name), texts, codes.astype(np.int64), where)

    def n_rows(self, which: Marks) -> int:
        """Cells with one of some texts."""
        return int(np.append(which, False)[self.codes].sum())

    def first(self, which: Marks) -> tuple[str, str]:
        """The first cell with one of some texts, and its place."""
        row = int(np.append(which, False)[self.codes].argmax())
        return self.texts[self.codes[row]][:50], self.where(row)

    def dates(self, found: Moments, form: DateForm) -> Dates:
        """What was found in the texts, for each cell."""
        seconds, nanoseconds = (
            np.append(part, 0)[self.codes] for part in (found.seconds, found.nanoseconds)
        )
        return Dates(form, seconds, nanoseconds, self.codes < 0)


def _native(series: pd.Series) -> Dates | None:
    """Of a column whose type says what it is."""
    if series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) == "timedelta":
        series = pd.to_timedelta(series)
    if isinstance(series.dtype, pd.ArrowDtype):
        return None
    if pd.api.types.is_timedelta64_dtype(series.dtype):
        return _of_numpy(series.to_numpy(), DateForm("duration"))
    if not pd.api.types.is_datetime64_any_dtype(series.dtype):
        return None
    is_aware = series.dt.tz is not None
    naive = series.dt.tz_convert(None) if is_aware else series
    return _of_numpy(naive.to_numpy(), DateForm("date", is_aware=is_aware))


def _of_numpy(values: NDArray[Any], form: DateForm) -> Dates:
    unit, step = np.datetime_data(values.dtype)
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit] // step
    missing = np.isnat(values)
    whole = np.where(missing, 0, values.astype(np.int64))
    nanoseconds = whole % per_second * (SECOND // per_second)
    return Dates(form, whole // per_second, nanoseconds, missing)


def _kind(cells: _Cells, found: Sequence[Moments]) -> DateKind | None:
    """Of the dates in a column, if it is one of dates."""
    are_dates = np.logical_or.reduce([one.exists for one in found])
    n_dates, n_others = int(are_dates.sum()), int((~are_dates).sum())
    is_most = 2 * cells.n_rows(are_dates) >= cells.n_rows(np.ones_like(are_dates))
    if not n_dates or not (is_most or (n_others <= MOST_STRAYS and n_others < n_dates)):
        return None
    kinds = np.array([FORMS[form].kind for form in found[0].form])
    rows: dict[DateKind, int] = {
        kind: cells.n_rows(are_dates & (kinds == kind)) for kind in PLURALS
    }
    if not rows["date"]:
        return "duration" if rows["duration"] else "time of day"
    return max(rows, key=rows.__getitem__)


def _with_order(found: Moments) -> Marks:
    """Texts that have day and month in digits."""
    return np.isin(found.form, [i for i, form in enumerate(FORMS) if form.has_order])


def _lacks(found: Moments) -> Marks:
    """Texts that lack something to be a date."""
    return np.isin(found.form, [i for i, form in enumerate(FORMS) if form.why_not])


def _order(cells: _Cells, found: dict[Order, Moments], asked: Order | None) -> Order | None:
    """That day and month have in a column; None if no cell has both in digits."""
    numbered = _with_order(found["day-first"])
    exists = {order: moments.exists for order, moments in found.items()}
    known = numbered & (exists["day-first"] | exists["month-first"])
    if not known.any():
        return None
    only: dict[Order, Marks] = {order: known & ~exists[_other(order)] for order in found}
    decided = [order for order in found if only[order].any()]
    if len(decided) == 2:
        (one, place), (two, there) = (cells.first(only[order]) for order in decided)
        raise DataError(
            f"column {cells.name!r} mixes the orders of day and month: {one!r} in {place} is "
            f"day-first, but {two!r} in {there} is month-first. Write dates as 2026-01-31.",
            "data.source",
        )
    if asked is not None and decided == [_other(asked)]:
        cell, place = cells.first(only[decided[0]])
        raise DataError(
            f"dates is {asked}, but column {cells.name!r} has {cell!r} in {place}. Correct the "
            f"date, or write dates: {decided[0]}.",
            "data.dates",
        )
    if decided or asked is not None:
        return decided[0] if decided else asked
    differ = known & (found["day-first"].seconds != found["month-first"].seconds)
    if not differ.any():
        return "day-first"
    cell, place = cells.first(differ)
    raise DataError(
        f"the order of day and month in column {cells.name!r} is ambiguous: {cell!r} in {place}, "
        "and no date in it decides. Write dates: day-first or dates: month-first.",
        "data.dates",
    )


def _other(order: Order) -> Order:
    return "month-first" if order == "day-first" else "day-first"


def _refuse_others(cells: _Cells, found: Moments, kind: DateKind, is_feature: bool) -> None:
    """Every text must be of one form."""
    name = cells.name
    instead = f", or write categorical: [{name}]" if is_feature else ""
    lacks = _lacks(found) & found.exists
    if lacks.any():
        cell, place = cells.first(lacks)
        why = FORMS[found.form[cells.texts.index(cell)]].why_not
        raise DataError(
            f"column {name!r} has dates, but {cell!r} in {place} {why}. Write dates as "
            f"2026-01-31 or 2026-01-31 10:30+01:00{instead}.",
            "data.source",
        )
    strays = ~found.exists | (np.array([FORMS[form].kind for form in found.form]) != kind)
    if strays.any():
        cell, place = cells.first(strays)
        n_others = cells.n_rows(strays) - 1
        more = f" (and {n_others:,} more)" if n_others else ""
        raise DataError(
            f"column {name!r} has {PLURALS[kind]}, but {cell!r} in {place}{more} is not valid as "
            f"one. Correct it{f', or write missing: [{cell!r}]' if is_feature else ''}{instead}.",
            "data.source",
        )
    _refuse_two(cells, np.array([FORMS[form].name for form in found.form]), "formats", instead)
    zones = np.where(found.is_aware, "aware", "naive")
    _refuse_two(cells, zones, "times with and without a zone", instead)


PLURALS: dict[DateKind, str] = {
    "date": "dates",
    "time of day": "times of day",
    "duration": "durations",
}


_EXAMPLES = {"formats": "2026-01-31", "times with and without a zone": "2026-01-31 10:30+01:00"}


def _refuse_two(cells: _Cells, what: NDArray[np.str_], things: str, instead: str) -> None:
    """All texts must be alike in something."""
    if (what == what[0]).all():
        return
    (one, place), (two, there) = (cells.first(what == word) for word in np.unique(what)[:2])
    raise DataError(
        f"column {cells.name!r} mixes {things}: {one!r} in {place}, {two!r} in {there}. Write all "
        f"of them alike, such as {_EXAMPLES[things]}{instead}.",
        "data.source",
    )
