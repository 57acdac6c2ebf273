"""Turn dates into numbers: elapsed time, and sines and cosines of periods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tunecli.data.columns.cell_values import Floats
from tunecli.data.columns.date_texts import DAY, Ints
from tunecli.data.columns.dates import Dates
from tunecli.data.rows.date_parts import Part

_LEAST = 1e-9
"""A sine that varies less is constant, apart from rounding."""


def parts_of(dates: Dates) -> tuple[Part, ...]:
    """Return the elapsed time, and each sine and cosine that is not constant.

    Dates that are all first days of months mean months, so their weekdays mean nothing.
    """
    waves = [part for part in _WAVES if dates.form.kind in _WAVES[part]]
    if _are_months(dates):
        waves = [part for part in waves if not part.startswith("weekday")]
    return ("elapsed", *(part for part in waves if _varies(values_of(dates, part))))


def _are_months(dates: Dates) -> bool:
    days = (dates.seconds[~dates.missing] // DAY).astype("datetime64[D]")
    return bool((days == days.astype("datetime64[M]")).all())


def values_of(dates: Dates, part: Part) -> Floats:
    """Return one number per cell, (n,); NaN if it is missing."""
    if part == "elapsed":
        return dates.elapsed
    period, wave = part.split(", ")
    angles = 2 * np.pi * _SHARES[period](dates.seconds)
    values: Floats = np.sin(angles) if wave == "sin" else np.cos(angles)
    values[dates.missing] = np.nan
    return values


def feature_name(column: str, part: Part) -> str:
    """Return the name of a part; the elapsed time has the name of the column."""
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
