"""What the columns of a table hold: numbers, categories, classes, times or groups."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.dataset import Column
from tunecli.data.magnitudes import check_target
from tunecli.errors import DataError
from tunecli.study_file.settings import Task
from tunecli.study_file.suggestions import listed

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Where = Callable[[int], str]
"""Names a row for messages, from its position: `row 17 of train.csv`."""

MOSTLY_NUMBERS = 0.95
"""From this share of numbers on, a few texts are taken for mistakes,"""
FEW_TEXTS = 10
"""if there are at most so many different ones."""
MOST_CLASSES_OF_NUMBERS = 20
"""Whole numbers of more different values are amounts."""
FEWEST_ROWS_OF_IDS = 50
"""From so many rows on, a text that is different in most rows tells rows apart, nothing else."""

_TRAIN = {"train", "training", "fit"}
_VALID = {"valid", "val", "validation", "dev"}
_TEST = {"test"}


@dataclass(frozen=True)
class Cells:
    """One column's cells as numbers.

    Attributes:
        values: (n_rows,); codes of categories; NaN where missing.
        note: what a user should know of it; empty for nothing.
    """

    column: Column
    values: Floats
    note: str = ""


def cells(series: pd.Series, given: Literal["numeric", "categorical", ""], where: Where) -> Cells:
    """What a column holds: `given` if the user said so, else by its cells.

    Raises:
        DataError: texts among numbers.
    """
    name = str(series.name)
    if given == "categorical":
        return _categories(series)
    numbers, bad = as_numbers(series)
    if not bad.any():
        infinite = np.isinf(numbers)
        if infinite.any():
            place = where(int(infinite.argmax()))
            message = f"column {name!r} is infinite in {place}. Write an empty cell."
            raise DataError(message, "data.source")
        return Cells(Column(name), numbers)
    if given == "numeric" or _are_mistakes(series, bad):
        raise DataError(_text_among_numbers(series, bad, where), "data.source")
    found = _categories(series)
    share = 1 - bad.sum() / max(1, series.notna().sum())
    if share < MOSTLY_NUMBERS:
        return found
    note = f"Column {name!r} is {share:.0%} numbers, but taken for categories, as its texts are."
    return Cells(found.column, found.values, note)


def as_numbers(series: pd.Series) -> tuple[Floats, NDArray[np.bool_]]:
    """Cells as numbers, dates as seconds since 1970; and which are neither number nor missing."""
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return _seconds(series), np.zeros(len(series), dtype=bool)
    if pd.api.types.is_numeric_dtype(series.dtype):  # whole, decimal, true and false
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)  # else read-only
        return numbers, np.zeros(len(series), bool)
    codes, texts = pd.factorize(series)  # fewer than cells, as a rule
    found = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
    known = np.append(found.to_numpy(dtype=np.float64, na_value=np.nan), np.nan)
    values: Floats = known[codes]
    return values, np.isnan(values) & (codes >= 0)


def is_nested(series: pd.Series) -> bool:
    """Whether each cell holds several values, such as the lists of a Parquet file."""
    if series.dtype != object:
        return False
    there = series.dropna()
    return bool(len(there)) and isinstance(there.iloc[0], list | dict | tuple | np.ndarray)


def tells_rows_apart(found: Cells) -> bool:
    """Whether a column of categories has another one in most rows, as identifiers have."""
    there = int(np.isfinite(found.values).sum())
    n_categories = len(found.column.categories)
    return there >= FEWEST_ROWS_OF_IDS and n_categories > there / 2


def _categories(series: pd.Series) -> Cells:
    codes, labels = _coded(series)
    values = codes.astype(np.float64)
    values[codes < 0] = np.nan
    return Cells(Column(str(series.name), "categorical", labels), values)


def _coded(series: pd.Series) -> tuple[Codes, tuple[str, ...]]:
    """Codes in the order of the values (-1 for missing), and the values as texts."""
    numbers, bad = as_numbers(series)
    if not bad.any() and not pd.api.types.is_bool_dtype(series.dtype):
        codes, values = pd.factorize(numbers, sort=True)
        return codes.astype(np.int64), tuple(_number_text(value) for value in values)
    codes, cells = pd.factorize(series)
    texts, merged = np.unique([str(cell) for cell in cells], return_inverse=True)
    codes = np.append(merged, -1)[codes]
    return codes.astype(np.int64), tuple(str(text) for text in texts)


def _number_text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _are_mistakes(series: pd.Series, bad: NDArray[np.bool_]) -> bool:
    share = 1 - bad.sum() / series.notna().sum()
    return bool(share >= MOSTLY_NUMBERS and series[bad].nunique() <= FEW_TEXTS)


def _text_among_numbers(series: pd.Series, bad: NDArray[np.bool_], where: Where) -> str:
    first = int(bad.argmax())
    cell = str(series.iloc[first])[:50]
    others = f" (and {bad.sum() - 1:,} more)" if bad.sum() > 1 else ""
    return (
        f"column {series.name!r} has numbers, but {cell!r} in {where(first)}{others}. Correct it, "
        f"or write missing: [{cell!r}], or categorical: [{series.name}]."
    )


# Targets


@dataclass(frozen=True)
class Target:
    """What is to be predicted.

    Attributes:
        values: (n_rows,) int64 class indices, or float64 values.
        words: what it is and how that was found.
    """

    task: Task
    values: NDArray[Any]
    classes: tuple[str, ...]
    words: str


def target(series: pd.Series, task: Task | None, where: Where) -> Target:
    """Classes or numbers, as `task` says or the cells tell.

    Raises:
        DataError: cells are missing, all alike, or do not fit the task.
    """
    name = str(series.name)
    _refuse_missing(series, f"the target {name!r}", where)
    numbers, bad = as_numbers(series)
    if task is None and bad.any() and _are_mistakes(series, bad):
        raise DataError(_text_among_numbers(series, bad, where), "data.target")
    n_values = series.nunique()
    is_text = bool(bad.any()) or pd.api.types.is_bool_dtype(series.dtype)
    is_few = _are_few_whole_numbers(numbers, n_values) and not is_text
    if task == "classification" or (task is None and (is_text or is_few)):
        how = "as task says" if task else "text" if is_text else "few whole numbers"
        return _classes(series, name, n_values, how)
    if bad.any():
        message = f"task: regression needs numbers. {_text_among_numbers(series, bad, where)}"
        raise DataError(message, "data.task")
    if not np.isfinite(numbers).all():
        place = where(int((~np.isfinite(numbers)).argmax()))
        raise DataError(f"the target {name!r} is infinite in {place}.", "data.target")
    check_target(name, numbers, where)
    how = "as task says" if task else f"{n_values:,} different ones"
    return Target("regression", numbers, (), f"{name}, numbers ({how})")


def _classes(series: pd.Series, name: str, n_values: int, how: str) -> Target:
    codes, labels = _coded(series)
    if n_values < 2:
        message = f"the target {name!r} is {labels[0]!r} in all rows: there is nothing to tell."
        raise DataError(message, "data.target")
    if n_values > max(MOST_CLASSES_OF_NUMBERS, len(series) / 2):
        raise DataError(
            f"the target {name!r} has {n_values:,} different values in {len(series):,} rows: too "
            "many for classes. Name another column, or write task: regression for numbers.",
            "data.target",
        )
    return Target("classification", codes, labels, f"{name}, {n_values} classes ({how})")


def _are_few_whole_numbers(numbers: Floats, n_values: int) -> bool:
    few = n_values <= min(MOST_CLASSES_OF_NUMBERS, max(2, len(numbers) // 10))
    return bool(few and np.all(np.mod(numbers, 1) == 0))


def _refuse_missing(series: pd.Series, what: str, where: Where) -> None:
    missing = np.flatnonzero(series.isna().to_numpy())
    if len(missing) == len(series):
        raise DataError(f"{what} is empty in all rows.", "data.source")
    if len(missing):
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        place = f"{where(int(missing[0]))}{more}"
        raise DataError(f"{what} is empty in {place}. Remove what is empty.", "data.source")


# What decides the splits


def groups(series: pd.Series, where: Where) -> Codes:
    """A number for each different value."""
    _refuse_missing(series, f"the column {series.name!r} of group", where)
    codes: Codes = pd.factorize(series)[0].astype(np.int64)
    if codes.max() == 0:
        raise DataError(f"column {series.name!r} is one group only.", "data.group")
    return codes


def weights(series: pd.Series, where: Where) -> Floats:
    """Numbers from 0 on, not all of them 0."""
    _refuse_missing(series, f"the column {series.name!r} of weights", where)
    numbers, bad = as_numbers(series)
    bad = bad | ~np.isfinite(numbers) | (numbers < 0)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"column {series.name!r} of weights must have numbers from 0 on, but {where(row)} has "
            f"{str(series.iloc[row])[:50]!r}. Correct it, or leave data.weights out.",
            "data.weights",
        )
    if not numbers.any():
        message = f"all weights in column {series.name!r} are 0. Leave data.weights out."
        raise DataError(message, "data.weights")
    return numbers


def times(series: pd.Series, where: Where) -> Floats:
    """Numbers as they are, dates in seconds since 1970."""
    _refuse_missing(series, f"the column {series.name!r} of time", where)
    numbers, bad = as_numbers(series)
    if not bad.any():
        return numbers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no one format was found
        dates = pd.to_datetime(series, errors="coerce", utc=True)
    if dates.isna().any():
        row = int(dates.isna().to_numpy().argmax())
        cell = str(series.iloc[row])[:50]
        message = (
            f"column {series.name!r} must be dates or numbers, but {where(row)} has {cell!r}."
        )
        raise DataError(f"{message} Write dates as 2026-01-31.", "data.time")
    return _seconds(dates)


def _seconds(dates: pd.Series) -> Floats:
    naive = dates.dt.tz_localize(None) if dates.dt.tz is not None else dates
    seconds: Floats = naive.astype("datetime64[ns]").to_numpy().astype(np.float64) / 1e9
    seconds[naive.isna().to_numpy()] = np.nan
    return seconds


def fold_numbers(series: pd.Series) -> tuple[Codes, Codes | None]:
    """What a column says of the splits.

    Words (train, valid, test), true and false, and 0 and 1 mark the rows that validate; anything
    else numbers the folds, and a row that is empty or negative always trains.

    Returns:
        (n_rows,) the fold in which a row validates, or -1; and the rows of the test, if any.
    """
    codes, labels = _coded(series)
    words = [label.lower() for label in labels]
    if set(words) <= _TRAIN | _VALID | _TEST:
        of_label = np.array([0 if word in _VALID else -1 for word in words] + [-1])
        tests = [code for code, word in enumerate(words) if word in _TEST]
        test = np.flatnonzero(np.isin(codes, tests))
        folds = of_label[codes]
        _refuse_no_fold(series, folds, labels)
        return folds, test if len(test) else None
    if set(words) <= {"0", "1", "true", "false"}:
        of_label = np.array([0 if word in ("1", "true") else -1 for word in words] + [-1])
        folds = of_label[codes]
    else:
        numbers, bad = as_numbers(series)
        folds = np.where((numbers < 0) & ~bad, -1, codes)
        folds[folds >= 0] = np.unique(folds[folds >= 0], return_inverse=True)[1]
    _refuse_no_fold(series, folds, labels)
    return folds, None


def _refuse_no_fold(series: pd.Series, folds: Codes, labels: tuple[str, ...]) -> None:
    n_folds = int(folds.max()) + 1
    if n_folds < 1 or n_folds > len(folds) / 2 or (n_folds == 1 and (folds >= 0).all()):
        raise DataError(
            f"column {series.name!r} must number the folds, or mark the rows that validate as "
            f"valid, true or 1, but has {listed(labels, most=5)}.",
            "validation.column",
        )
