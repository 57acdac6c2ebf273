"""Read columns of dates, times of day and durations exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.cell_values import Floats, Where, is_nested
from tunecli.data.columns.date_texts import DAY, SECOND, Ints, Marks, Moments, Order, read_dates
from tunecli.data.rows.dataset import DateForm, DateKind
from tunecli.errors import DataError

MOST_STRAYS = 10
"""Most distinct texts among more dates that count as mistakes; with more of them, and dates in
less than half of the cells, the column is text."""


@dataclass(frozen=True)
class Dates:
    """The cells of one date column.

    Attributes:
        seconds: (n,), since 1970-01-01, since midnight, or of a duration; 0 if missing.
        nanoseconds: (n,), at least 0, to be added to the seconds.
        missing: (n,), whether each cell is missing.
    """

    form: DateForm
    seconds: Ints
    nanoseconds: Ints
    missing: Marks

    @property
    def elapsed(self) -> Floats:
        """Seconds with their fractions, (n,); NaN if missing."""
        seconds: Floats = (self.seconds * float(SECOND) + self.nanoseconds) / SECOND
        seconds[self.missing] = np.nan
        return seconds

    @property
    def ranks(self) -> Ints:
        """Exact order of the cells, (n,), dense from 0; -1 if missing."""
        pairs = np.stack([self.seconds, self.nanoseconds], axis=1)[~self.missing]
        ranks = np.full(len(self.missing), -1)
        ranks[~self.missing] = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        return ranks


def spelling(seconds: int, nanoseconds: int, form: DateForm) -> str:
    """Write a time for people: `2026-01-31 10:30:00`, `10:30:00`, `2 days 10:30:00`."""
    days, rest = divmod(seconds, DAY)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    time = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}{fraction}"
    if form.kind == "date":
        zone = "+00:00" if form.is_aware else ""
        return f"{np.datetime64(days, 'D')} {time}{zone}"
    if form.kind == "duration":
        return f"{days} days {time}"
    return time if not days else "24:00:00"


def dates_in(
    series: pd.Series, asked: Order | None, where: Where, is_feature: bool = True
) -> Dates | None:
    """Read a column if most of its cells are dates, times of day or durations; else return None.

    Args:
        asked: the order of day and month if the cells leave it open.
        is_feature: whether the column may have missing cells, or be categorical.

    Raises:
        DataError: some cells are not dates, forms are mixed, or the order is ambiguous.
    """
    if (known := _native(series)) is not None:
        return known
    if pd.api.types.is_numeric_dtype(series.dtype) or is_nested(series):
        return None
    cells = _Cells.of(series, where)
    if not len(cells.texts):
        return None
    day_first = read_dates(cells.texts, "day-first")
    has_order = day_first.of_form("has_order").any()
    month_first = read_dates(cells.texts, "month-first") if has_order else day_first
    by_order: dict[Order, Moments] = {"day-first": day_first, "month-first": month_first}
    kind = _kind(cells, list(by_order.values()))
    if kind is None:
        return None
    if kind == "duration":
        moments, order = read_dates(cells.texts, "day-first", kind), None
    else:
        order = _order(cells, by_order, asked)
        moments = by_order[order or "day-first"]
    _refuse_others(cells, moments, kind, is_feature)
    form = DateForm(kind, order or "", bool(moments.is_aware.any()))
    return cells.dates(moments, form)


def dates_as(
    series: pd.Series, form: DateForm, asked: Order | None, where: Where, name: str
) -> Dates:
    """Read new cells of a column whose form is known, each by itself.

    Args:
        asked: the order of day and month if the form has none.
        name: the name of the column.

    Raises:
        DataError: a cell has another form.
    """
    known = _native(series)
    if known is not None:
        if (known.form.kind, known.form.is_aware) != (form.kind, form.is_aware):
            raise DataError(
                f"column {name!r} must hold {_wanted(form)}, but holds {_wanted(known.form)}."
            )
        return known
    cells = _Cells.of(series, where)
    order = form.order or asked
    moments = read_dates(cells.texts, order or "day-first", form.kind)
    good = (
        moments.exists & (moments.is_aware == form.is_aware) & (moments.of_form("why_not") == "")
    )
    good &= ~moments.of_form("has_order") if order is None else True
    if not good.all():
        cell, place = cells.first(~good)
        raise DataError(f"column {name!r} must hold {_wanted(form)}, but {place} has {cell!r}.")
    return cells.dates(moments, form)


def _wanted(form: DateForm) -> str:
    """Describe a form for messages: `dates with a zone, such as 2026-01-31 10:30+01:00`."""
    if form.kind == "time of day":
        return "times of day, such as 10:30"
    if form.kind == "duration":
        return "durations, such as 1 days 10:30:00"
    zone, how = ("+01:00", "with a zone") if form.is_aware else ("", "without a zone")
    order = f", or {form.order}" if form.order else ""
    return f"dates {how}, such as 2026-01-31 or 2026-01-31 10:30{zone}{order}"


@dataclass(frozen=True)
class _Cells:
    """The distinct texts of a column, and their rows.

    Attributes:
        codes: (n_rows,), the index into the texts; -1 for missing.
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
        """Count the cells with one of the marked texts."""
        return int(np.append(which, False)[self.codes].sum())

    def first(self, which: Marks) -> tuple[str, str]:
        """Return the first cell with one of the marked texts, and its row in words."""
        row = int(np.append(which, False)[self.codes].argmax())
        return self.texts[self.codes[row]][:50], self.where(row)

    def dates(self, moments: Moments, form: DateForm) -> Dates:
        """Spread the moments of the texts over the cells."""
        seconds, nanoseconds = (
            np.append(part, 0)[self.codes] for part in (moments.seconds, moments.nanoseconds)
        )
        return Dates(form, seconds, nanoseconds, self.codes < 0)


def _native(series: pd.Series) -> Dates | None:
    """Read a column whose type is a date or duration; return None for other types."""
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


def _kind(cells: _Cells, readings: Sequence[Moments]) -> DateKind | None:
    """Return the kind of a column's dates; None if it is not a column of dates."""
    are_dates = np.logical_or.reduce([one.exists for one in readings])
    n_dates, n_others = int(are_dates.sum()), int((~are_dates).sum())
    is_most = 2 * cells.n_rows(are_dates) >= cells.n_rows(np.ones_like(are_dates))
    if not n_dates or not (is_most or (n_others <= MOST_STRAYS and n_others < n_dates)):
        return None
    kinds = readings[0].of_form("kind")
    rows: dict[DateKind, int] = {
        kind: cells.n_rows(are_dates & (kinds == kind)) for kind in PLURALS
    }
    if not rows["date"]:
        return "duration" if rows["duration"] else "time of day"
    return max(rows, key=rows.__getitem__)


def _order(cells: _Cells, by_order: dict[Order, Moments], asked: Order | None) -> Order | None:
    """Return the order of day and month in a column; None if no cell has both in digits."""
    numbered = by_order["day-first"].of_form("has_order")
    exists = {order: moments.exists for order, moments in by_order.items()}
    known = numbered & (exists["day-first"] | exists["month-first"])
    if not known.any():
        return None
    only: dict[Order, Marks] = {order: known & ~exists[_other(order)] for order in by_order}
    decided = [order for order in by_order if only[order].any()]
    if len(decided) == 2:
        (one, place), (two, there) = (cells.first(only[order]) for order in decided)
        raise DataError(
            f"column {cells.name!r} mixes orders of day and month: {one!r} in {place} is "
            f"day-first, but {two!r} in {there} is month-first. Write dates as 2026-01-31.",
            "data.source",
        )
    if asked is not None and decided == [_other(asked)]:
        cell, place = cells.first(only[decided[0]])
        raise DataError(
            f"dates: {asked} does not fit {cell!r} in {place} of column {cells.name!r}. Correct "
            f"the date, or write dates: {decided[0]}.",
            "data.dates",
        )
    if decided or asked is not None:
        return decided[0] if decided else asked
    differ = known & (by_order["day-first"].seconds != by_order["month-first"].seconds)
    if not differ.any():
        return "day-first"
    cell, place = cells.first(differ)
    raise DataError(
        f"the order of day and month in column {cells.name!r} is ambiguous: {cell!r} in {place}, "
        "and no other date decides it. Write dates: day-first or dates: month-first.",
        "data.dates",
    )


def _other(order: Order) -> Order:
    return "month-first" if order == "day-first" else "day-first"


def _refuse_others(cells: _Cells, moments: Moments, kind: DateKind, is_feature: bool) -> None:
    """Refuse a column unless all texts have one kind and form."""
    name = cells.name
    instead = f", or write categorical: [{name}]" if is_feature else ""
    why_not = moments.of_form("why_not")
    lacks = (why_not != "") & moments.exists
    if lacks.any():
        cell, place = cells.first(lacks)
        why = why_not[cells.texts.index(cell)]
        raise DataError(
            f"column {name!r} has dates, but {cell!r} in {place} {why}. Write dates as "
            f"2026-01-31 or 2026-01-31 10:30+01:00{instead}.",
            "data.source",
        )
    strays = ~moments.exists | (moments.of_form("kind") != kind)
    if strays.any():
        cell, place = cells.first(strays)
        n_others = cells.n_rows(strays) - 1
        more = f" (and {n_others:,} more)" if n_others else ""
        missing = f", or write missing: [{cell!r}]" if is_feature else ""
        raise DataError(
            f"column {name!r} has {PLURALS[kind]}, but {cell!r} in {place}{more} is not a valid "
            f"{kind}. Correct it{missing}{instead}.",
            "data.source",
        )
    _refuse_two(cells, moments.of_form("name"), "formats", instead)
    zones = np.where(moments.is_aware, "aware", "naive")
    _refuse_two(cells, zones, "times with and without a zone", instead)


PLURALS: dict[DateKind, str] = {
    "date": "dates",
    "time of day": "times of day",
    "duration": "durations",
}


_EXAMPLES = {"formats": "2026-01-31", "times with and without a zone": "2026-01-31 10:30+01:00"}


def _refuse_two(cells: _Cells, what: NDArray[np.str_], things: str, instead: str) -> None:
    """Refuse a column unless all texts agree in one property."""
    if (what == what[0]).all():
        return
    (one, place), (two, there) = (cells.first(what == word) for word in np.unique(what)[:2])
    raise DataError(
        f"column {cells.name!r} mixes {things}: {one!r} in {place}, {two!r} in {there}. Write all "
        f"of them in one form, such as {_EXAMPLES[things]}{instead}.",
        "data.source",
    )
