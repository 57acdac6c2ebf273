"""Columns of dates, times of day and durations: elapsed time, and sines and cosines of periods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from tunecli.data.columns.cell_values import Floats, Where
from tunecli.data.columns.column_cells import FEWEST_ROWS, Cells, Given, Reading, Use, with_marks
from tunecli.data.columns.date_texts import DAY, Ints
from tunecli.data.columns.dates import Dates, dates_as, dates_in, spelling
from tunecli.data.rows.dataset import Column, DateKind, DatePart, Part
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.text.counts import count

_NO_DAYS = ("0001-01-01", "9999-12-31")
"""Days that programs write for missing dates."""
_LEAST = 1e-9
"""A sine that varies less is constant, apart from rounding."""


@dataclass(frozen=True, kw_only=True)
class DateCells(Cells):
    """A column of dates, times of day or durations; its values are the elapsed seconds."""

    dates: Dates

    @classmethod
    def read(cls, series: pd.Series, given: Given, where: Where, reading: Reading) -> Cells | None:
        """Read dates; as numbers alone if the user names the column numeric."""
        dates = dates_in(series, reading.order, where)
        if dates is None:
            return None
        column = Column(str(series.name))
        if given:
            return Cells(column, dates.elapsed)
        return cls(column, dates.elapsed, dates=dates)

    @staticmethod
    def read_new(
        series: pd.Series, columns: Sequence[Column], where: Where, reading: Reading
    ) -> Iterator[Floats]:
        """Read dates in the form that the model knows, as each of their parts; see `Cells`."""
        parts = [column.date for column in columns if column.date is not None]
        dates = dates_as(series, parts[0].form, reading.order, where, parts[0].column)
        return (values_of(dates, one.part) for one in parts)

    @property
    def kind(self) -> str:
        """The kind of date."""
        return self.dates.form.kind

    def parts(self) -> Sequence[Cells]:
        """Return the elapsed time, and each sine and cosine that is not constant."""
        name, form = self.column.name, self.dates.form
        return [
            Cells(
                Column(feature_name(name, part), date=DatePart(name, part, form)),
                values_of(self.dates, part),
            )
            for part in parts_of(self.dates)
        ]

    def ends(self, low: float, high: float) -> Sequence[str]:
        """Return the first and the last time; only their days if those differ, or are exact."""
        dates = self.dates
        rows = np.flatnonzero(~dates.missing)
        order = np.lexsort((dates.nanoseconds[rows], dates.seconds[rows]))
        first_last = rows[order[[0, -1]]]
        seconds, nanoseconds = dates.seconds[first_last], dates.nanoseconds[first_last]
        days = seconds // DAY
        if self.kind == "date" and (not (seconds % DAY).any() or days[0] != days[1]):
            return [str(day) for day in days.astype("datetime64[D]")]
        pairs = zip(seconds.tolist(), nanoseconds.tolist(), strict=True)
        return [spelling(second, nanosecond, dates.form) for second, nanosecond in pairs]

    def warnings(self, there: Floats, distinct: Floats) -> Iterator[str]:
        """Warn about days that mean a missing date, far from all others."""
        days = self.dates.seconds[~self.dates.missing] // DAY
        for day in _NO_DAYS if self.kind == "date" else ():
            n = int((days == np.datetime64(day, "D").astype(np.int64)).sum())
            if n and n < len(days):
                yield (
                    f"Column {self.column.name!r} is {day} in {count(n, 'row')}. That is so far "
                    "from the other dates that scaling makes the others nearly equal. If it "
                    f"means a missing date, write missing: ['{day}']."
                )

    @staticmethod
    def use(columns: Sequence[Column], x: Floats, data: DataSettings) -> Use:
        """Name the parts that become features; see `Cells`."""
        parts = [column.date.part.split(", ")[0] for column in columns if column.date is not None]
        return with_marks(dict.fromkeys(parts), x), ()

    @property
    def are_in_order(self) -> bool:
        """Whether the rows are sorted by the dates, ascending or descending."""
        ranks = self.dates.ranks[~self.dates.missing]
        steps = np.diff(ranks)
        is_sorted = (steps >= 0).all() or (steps <= 0).all()
        return bool(is_sorted and len(np.unique(ranks)) >= FEWEST_ROWS) and self.kind == "date"


def parts_of(dates: Dates) -> tuple[Part, ...]:
    """Return the elapsed time, and each sine and cosine that is not constant.

    Dates that are all first days of months mean months, so their weekdays mean nothing.
    """
    days = (dates.seconds[~dates.missing] // DAY).astype("datetime64[D]")
    periods = {name for name, (kinds, _) in _PERIODS.items() if dates.form.kind in kinds}
    if (days == days.astype("datetime64[M]")).all():
        periods.discard("weekday")
    waves = [part for part in get_args(Part) if part.split(", ")[0] in periods]
    return ("elapsed", *(part for part in waves if _varies(values_of(dates, part))))


def values_of(dates: Dates, part: Part) -> Floats:
    """Return one number per cell, (n,); NaN if it is missing."""
    if part == "elapsed":
        return dates.elapsed
    period, wave = part.split(", ")
    angles = 2 * np.pi * _PERIODS[period][1](dates.seconds)
    values: Floats = np.sin(angles) if wave == "sin" else np.cos(angles)
    values[dates.missing] = np.nan
    return values


def feature_name(column: str, part: Part) -> str:
    """Return the name of a part; the elapsed time has the name of the column."""
    return column if part == "elapsed" else f"{column} ({part})"


def _varies(values: Floats) -> bool:
    there = values[~np.isnan(values)]
    return bool(len(there) and np.ptp(there) > _LEAST)


def _of_year(seconds: Ints) -> Floats:
    days = (seconds // DAY).astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    start, end = (year.astype("datetime64[D]") for year in (years, years + 1))
    share: Floats = (days - start).astype(np.int64) / (end - start).astype(np.int64)
    return share


_PERIODS: dict[str, tuple[Sequence[DateKind], Callable[[Ints], Floats]]] = {
    "hour": (["date", "time of day"], lambda seconds: seconds % DAY / DAY),
    "weekday": (["date"], lambda seconds: (seconds // DAY + 3) % 7 / 7),  # 1970: a Thursday
    "day of year": (["date"], _of_year),
}
"""The kinds of dates that have a period, and its share that has passed at each time."""
