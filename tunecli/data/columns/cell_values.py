"""Convert cells to numbers, and find text, nested and missing cells."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.number_forms import PLAIN, NumberForm
from tunecli.errors import DataError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Where = Callable[[int], str]
"""Names a row for messages, from its position: `row 17 of train.csv`."""


def as_numbers(series: pd.Series, form: NumberForm = PLAIN) -> tuple[Floats, NDArray[np.bool_]]:
    """Return cells as numbers, dates as seconds since 1970, and which cells are other text.

    Args:
        form: how numbers in text are written.
    """
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return seconds(series), np.zeros(len(series), dtype=bool)
    if pd.api.types.is_numeric_dtype(series.dtype):  # whole, decimal, true and false
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)  # else read-only
        return numbers, np.zeros(len(series), bool)
    codes, cells = pd.factorize(series)  # usually far fewer than rows
    values: Floats = np.append(_numbers_of(list(cells), form), np.nan)[codes]
    return values, np.isnan(values) & (codes >= 0)


def _numbers_of(cells: Sequence[Any], form: NumberForm) -> Floats:
    is_text = np.array([isinstance(cell, str) for cell in cells], dtype=bool)
    numbers = np.empty(len(cells))
    numbers[is_text] = form.numbers([cell for cell in cells if isinstance(cell, str)])
    others = [_finite(cell) for cell in cells if not isinstance(cell, str)]
    parsed = pd.to_numeric(pd.Series(others, dtype=object), errors="coerce")
    numbers[~is_text] = parsed.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def _finite(cell: object) -> object:
    """Return a whole number too large for a float64 as infinite, anything else as it is."""
    if not isinstance(cell, int) or abs(cell) <= sys.float_info.max:
        return cell
    return float("inf") if cell > 0 else float("-inf")


def seconds(dates: pd.Series) -> Floats:
    """Return seconds since 1970; NaN where missing."""
    naive = dates.dt.tz_localize(None) if dates.dt.tz is not None else dates
    seconds: Floats = naive.astype("datetime64[ns]").to_numpy().astype(np.float64) / 1e9
    seconds[naive.isna().to_numpy()] = np.nan
    return seconds


def is_text(series: pd.Series) -> bool:
    """Return whether every cell is text or missing, and at least one is text."""
    if isinstance(series.dtype, pd.StringDtype):
        return bool(series.notna().any())
    if series.dtype != object:
        return False
    return bool(pd.api.types.infer_dtype(series, skipna=True) == "string")


def is_nested(series: pd.Series) -> bool:
    """Return whether each cell holds several values, such as the lists of a Parquet file."""
    if series.dtype != object:
        return False
    there = series.dropna()
    return bool(len(there)) and isinstance(there.iloc[0], list | dict | tuple | np.ndarray)


def refuse_missing(series: pd.Series, what: str, where: Where) -> None:
    """Refuse a column with missing cells, naming the first row."""
    missing = np.flatnonzero(series.isna().to_numpy())
    if len(missing) == len(series):
        raise DataError(f"{what} is empty in all rows.", "data.source")
    if len(missing):
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        place = f"{where(int(missing[0]))}{more}"
        raise DataError(
            f"{what} is empty in {place}. Fill in the value, or remove the row.", "data.source"
        )
