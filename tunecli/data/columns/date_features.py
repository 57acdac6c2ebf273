"""Numbers out of dates: elapsed time, and sines and cosines of what repeats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tunecli.data.columns.cell_values import Floats
from tunecli.data.columns.date_texts import DAY, Ints
from tunecli.data.columns.dates import Dates
from tunecli.data.rows.date_parts import Part

_LEAST = 1e-9
"""A sine that varies less is the same in all rows, but for rounding."""


def parts_of(dates: Dates) -> tuple[Part, ...]:
    """The elapsed time, and each sine and cosine that is not the same in all rows.

    First days of months are months: their weekdays say nothing.
    """
    waves = [part for part in _WAVES if dates.form.kind in _WAVES[part]]
    if _are_months(dates):
        waves = [part for part in waves if not part.startswith("weekday")]
    return ("elapsed", *(part for part in waves if _varies(values_of(dates, part))))


def _are_months(dates: Dates) -> bool:
    days = (dates.seconds[~dates.missing] // DAY).astype("datetime64[D]")
    return bool((days == days.astype("datetime64[M]")).all())


def values_of(dates: Dates, part: Part) -> Floats:
    """One number for each cell, (n,); NaN where it is missing."""
    if part == "elapsed":
        return dates.elapsed
    period, wave = part.split(", ")
    angles = 2 * np.pi * _SHARES[period](dates.seconds)
    values: Floats = np.sin(angles) if wave == "sin" else np.cos(angles)
    values[dates.missing] = np.nan
    return values


def feature_name(column: str, part: Part) -> str:
    """The elapsed time has the name of the column."""
    return column if part == "elapsed" else f"{column} ({part})"


def _varies(values: Floats) -> bool:
    there = values[~np.isnan(values)]
    return bool(len(there) and np.ptp(there) > _LEAST)


def _of_day(seconds: Ints) -> Floats:
    share: Floats = seconds % DAY / DAY
    return share


def _of_week(seconds: Ints) -> Floats:
    share: Floats = (seconds // DAY + 3) % 7 / 7  # 1970-01-01 was a Thursday
    return share


def _of_year(seconds: Ints) -> Floats:
    days = (seconds // DAY).astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    start, end = (year.astype("datetime64[D]") for year in (years, years + 1))
    share: Floats = (days - start).astype(np.int64) / (end - start).astype(np.int64)
    return share


_SHARES: dict[str, Callable[[Ints], Floats]] = {
    "hour": _of_day,
    "weekday": _of_week,
    "day of year": _of_year,
}
_WAVES: dict[Part, tuple[str, ...]] = {
    "hour, sin": ("date", "time of day"),
    "hour, cos": ("date", "time of day"),
    "weekday, sin": ("date",),
    "weekday, cos": ("date",),
    "day of year, sin": ("date",),
    "day of year, cos": ("date",),
}
