"""Convert cells to numbers; find text, nested and missing ones; decide which are one category.

Cells of categories, classes and groups are compared by their text, without the white space
around it, or by their exact number; never as floats, in which `01` and `1`, or two ids of 18
digits, would be equal. Spellings that programs mix are equal, too: `1` and `1.0`, since whole
numbers with gaps are often written so, `true` and `True`, `2026-01-31` and `2026-01-31 00:00:00`.
"""

from __future__ import annotations

import datetime
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.number_forms import PLAIN, NumberForm
from tunecli.data.rows.dataset import Column, ToldBy
from tunecli.errors import DataError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Where = Callable[[int], str]
"""Names a row for messages, from its position: `row 17 of train.csv`."""
EXACT = 2**53
"""Largest number up to which a float64 holds every whole number."""

_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0+", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)", re.ASCII)
_MIDNIGHT = re.compile(r"00:00(?::00(?:\.0+)?)?")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,4})?", re.ASCII)


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


def are_inexact(numbers: Floats) -> NDArray[np.bool_]:
    """Return which numbers are so large that several whole numbers share one float64."""
    return np.isfinite(numbers) & (np.abs(numbers) >= EXACT)


def collapsed(series: pd.Series, numbers: Floats) -> int | None:
    """Return the first row whose number equals that of a different cell; None if all differ."""
    large = are_inexact(numbers)
    if not large.any():
        return None
    cells = series[large].drop_duplicates()
    twins = pd.Series(numbers, series.index)[cells.index].duplicated(keep=False)
    if not twins.any():
        return None
    return int(series.index.get_loc(cells.index[twins.to_numpy().argmax()]))


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


@dataclass(frozen=True)
class CellCategories:
    """The distinct values of a column.

    Attributes:
        codes: the code of each cell, (n,); -1 if it is missing.
        labels: the values in the order of the codes, as they are written: sorted as numbers if all
            of them are numbers, else as texts.
        told_by: see `Column`.
    """

    codes: Codes
    labels: tuple[str, ...]
    told_by: ToldBy


def categories_of(series: pd.Series) -> CellCategories:
    """Find the distinct values of a column."""
    codes, cells = _factorized(series)
    texts = [text_of(cell) for cell in cells]
    if {text.lower() for text in texts} <= {"true", "false"}:
        texts = [text.capitalize() for text in texts]
    spelled: dict[str, str] = {}
    for text in sorted(texts, key=len):
        spelled.setdefault(_key(text), text)
    keys = _ordered(list(spelled))
    positions = {key: position for position, key in enumerate(keys)}
    cell_codes = np.array([*(positions[_key(text)] for text in texts), -1], dtype=np.int64)
    told_by: ToldBy = "number" if all(map(_is_number, cells)) else "text"
    return CellCategories(cell_codes[codes], tuple(spelled[key] for key in keys), told_by)


def _factorized(series: pd.Series) -> tuple[Codes, Sequence[Any]]:
    codes, cells = pd.factorize(series)
    if series.dtype in (np.float32, np.float16):  # else its cells would become float64
        cells = cells.to_numpy()
    return codes, cells


def text_of(cell: object) -> str:
    """Return a cell as it is written: `1` for 1 and 1.0, `2026-01-31` for a day."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, np.float32 | np.float16):
        return _number_text(float(str(cell)))  # 0.1, not 0.10000000149
    if isinstance(cell, float | np.floating):
        return _number_text(float(cell))
    if isinstance(cell, Decimal):
        return str(int(cell)) if cell == cell.to_integral_value() else f"{cell.normalize():f}"
    if isinstance(cell, datetime.datetime):
        is_day = cell.time() == datetime.time() and cell.tzinfo is None
        return str(cell.date()) if is_day else str(cell)
    return str(cell).strip()


def codes_in(series: pd.Series, column: Column) -> Floats:
    """Return each cell's code among the categories of a column; see `Column.told_by`.

    NaN is a missing cell; a category that the column lacks gets the number of its categories.
    """
    code = _by_float(column) if column.told_by == "float" else _by_identity(column)
    codes, cells = _factorized(series)
    known_codes: Floats = np.array([*map(code, cells), np.nan], dtype=np.float64)[codes]
    return known_codes


def _by_identity(column: Column) -> Callable[[Any], float]:
    known = {_key(label): float(code) for code, label in enumerate(column.categories)}
    by_value = _by_value(column.categories)
    unknown = float(len(column.categories))

    def code(cell: object) -> float:
        text = text_of(cell)
        if not text:
            return np.nan
        is_truth = text.lower() in ("true", "false")
        for spelling in (_key(text), text.capitalize() if is_truth else text, str(cell)):
            if spelling in known:
                return known[spelling]
        if column.told_by == "number" or _is_number(cell):
            value = _value(text)
            return unknown if value is None else by_value.get(value, unknown)
        return unknown

    return code


def _by_value(labels: Sequence[str]) -> dict[Decimal | None, float]:
    """Return codes by the numeric values of the labels, if only one label has that value."""
    values = [_value(label) for label in labels]
    count = Counter(values)
    return {value: float(code) for code, value in enumerate(values) if count[value] == 1}


def _by_float(column: Column) -> Callable[[Any], float]:
    known = {text: float(code) for code, text in enumerate(column.categories)}

    def code(cell: object) -> float:
        spellings = [str(cell), str(cell).capitalize()]
        try:
            spellings.append(_number_text(float(str(cell))))
        except (ValueError, OverflowError):
            pass
        return next((known[text] for text in spellings if text in known), float(len(known)))

    return code


def _key(text: str) -> str:
    """Return one text for all spellings of a whole number, or of a moment."""
    if whole := _WHOLE.fullmatch(text):
        return whole[1]
    if moment := _MOMENT.fullmatch(text):
        return moment[1] if _MIDNIGHT.fullmatch(moment[2]) else f"{moment[1]} {moment[2]}"
    return text


def _ordered(keys: Sequence[str]) -> list[str]:
    if np.isnan(PLAIN.numbers(keys)).any():
        return sorted(keys)
    return sorted(keys, key=lambda key: (Decimal(key), key))


def _value(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _is_number(cell: object) -> bool:
    numbers = (int, float, Decimal, np.integer, np.floating)
    return isinstance(cell, numbers) and not isinstance(cell, bool | np.bool_)


def _number_text(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
