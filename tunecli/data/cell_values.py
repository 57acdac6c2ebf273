"""Cells as numbers, and as the texts that tell categories apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.errors import DataError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Where = Callable[[int], str]
"""Names a row for messages, from its position: `row 17 of train.csv`."""


def as_numbers(series: pd.Series) -> tuple[Floats, NDArray[np.bool_]]:
    """Cells as numbers, dates as seconds since 1970; and which are neither number nor missing."""
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return seconds(series), np.zeros(len(series), dtype=bool)
    if pd.api.types.is_numeric_dtype(series.dtype):  # whole, decimal, true and false
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)  # else read-only
        return numbers, np.zeros(len(series), bool)
    codes, texts = pd.factorize(series)  # fewer than cells, as a rule
    found = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
    known = np.append(found.to_numpy(dtype=np.float64, na_value=np.nan), np.nan)
    values: Floats = known[codes]
    return values, np.isnan(values) & (codes >= 0)


def seconds(dates: pd.Series) -> Floats:
    """Return seconds since 1970; NaN where missing."""
    naive = dates.dt.tz_localize(None) if dates.dt.tz is not None else dates
    seconds: Floats = naive.astype("datetime64[ns]").to_numpy().astype(np.float64) / 1e9
    seconds[naive.isna().to_numpy()] = np.nan
    return seconds


def is_nested(series: pd.Series) -> bool:
    """Whether each cell holds several values, such as the lists of a Parquet file."""
    if series.dtype != object:
        return False
    there = series.dropna()
    return bool(len(there)) and isinstance(there.iloc[0], list | dict | tuple | np.ndarray)


def coded(series: pd.Series) -> tuple[Codes, tuple[str, ...]]:
    """Codes in the order of the values (-1 for missing), and the values as texts."""
    numbers, bad = as_numbers(series)
    if not bad.any() and not pd.api.types.is_bool_dtype(series.dtype):
        codes, values = pd.factorize(numbers, sort=True)
        return codes.astype(np.int64), tuple(number_text(value) for value in values)
    codes, cells = pd.factorize(series)
    texts, merged = np.unique([str(cell) for cell in cells], return_inverse=True)
    codes = np.append(merged, -1)[codes]
    return codes.astype(np.int64), tuple(str(text) for text in texts)


def number_text(value: float) -> str:
    """Return a number as a category is called by it."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def refuse_missing(series: pd.Series, what: str, where: Where) -> None:
    """Raise a DataError, with the first row, if a cell is missing."""
    missing = np.flatnonzero(series.isna().to_numpy())
    if len(missing) == len(series):
        raise DataError(f"{what} is empty in all rows.", "data.source")
    if len(missing):
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        place = f"{where(int(missing[0]))}{more}"
        raise DataError(f"{what} is empty in {place}. Remove what is empty.", "data.source")
