"""Read the columns that settings name: the target, groups, times, weights and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns import cell_values
from tunecli.data.columns.cell_values import Codes, Floats, Where
from tunecli.data.columns.column_cells import AS_IS, Reading
from tunecli.data.columns.dates import PLURALS, Dates, dates_in
from tunecli.data.columns.number_forms import PLAIN, NumberForm
from tunecli.data.columns.unread_cells import refuse_lookalikes, refuse_unread
from tunecli.data.rows.array_forms import check_target
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Task
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import listed

MOST_CLASSES_OF_NUMBERS = 20
"""Whole numbers with more distinct values are amounts, not classes."""
_TRAIN = {"train", "training", "fit"}
_VALID = {"valid", "val", "validation", "dev"}
_TEST = {"test"}
_YES, _NO = {"1", "true"}, {"0", "false"}


@dataclass(frozen=True)
class Target:
    """The target of the prediction, or several of them.

    Attributes:
        values: (n_rows,) int64 class indices, or float64 values; of several targets
            (n_rows, n_targets).
        words: its name and kind, and how that was found.
        names: the names of several targets; empty for a single one.
    """

    task: Task
    values: NDArray[Any]
    classes: tuple[str, ...]
    words: str
    names: tuple[str, ...] = ()


def target(series: pd.Series, task: Task | None, where: Where, reading: Reading = AS_IS) -> Target:
    """Read the target as classes or numbers, by `task` or else by its cells.

    Args:
        reading: how its numbers and dates are written.

    Raises:
        DataError: cells are missing, all equal, or do not fit the task.
    """
    name = str(series.name)
    cell_values.refuse_missing(series, f"the target {name!r}", where)
    if task != "classification":
        if (dates := _dates(series, reading, where)) is not None:
            return _seconds(series, dates, task, where)
        refuse_unread(series, reading.form, where, "data.target", "task: classification")
    numbers, bad = cell_values.as_numbers(series, reading.form)
    if task != "classification" and bad.any():
        refuse_lookalikes(series, where, "task: classification")
    n_values = series.nunique()
    is_text = bool(bad.any()) or pd.api.types.is_bool_dtype(series.dtype)
    is_few = _are_few_whole_numbers(numbers, n_values) and not is_text
    if task == "classification" or (task is None and (is_text or is_few)):
        how = "set by task" if task else "text" if is_text else "few whole numbers"
        return _classes(series, name, how)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"regression needs numbers, but the target {name!r} has "
            f"{str(series.iloc[row])[:50]!r} in {where(row)}. Correct it, or write task: "
            "classification.",
            "data.task",
        )
    if not np.isfinite(numbers).all():
        place = where(int((~np.isfinite(numbers)).argmax()))
        raise DataError(f"the target {name!r} is infinite in {place}. Correct it.", "data.target")
    if (twin := cell_values.collapsed(series, numbers)) is not None:
        raise DataError(
            f"the target {name!r} has whole numbers beyond 2^53, such as {series.iloc[twin]} in "
            f"{where(twin)}, and float64 cannot tell some of them apart. Subtract an offset, or "
            "write task: classification.",
            "data.target",
        )
    check_target(name, numbers, where)
    how = "set by task" if task else f"{n_values:,} distinct values"
    return Target("regression", numbers, (), f"{name}, numbers ({how})")


def several_targets(
    columns: pd.DataFrame, task: Task | None, where: Where, reading: Reading = AS_IS
) -> Target:
    """Read several targets, all of them numbers, or all of them labels that are 0 or 1.

    Args:
        task: regression or multilabel; None decides by the cells.
        reading: how numbers are written.

    Raises:
        DataError: cells are missing, or do not fit the task; or all cells of a column are equal.
    """
    names = tuple(map(str, columns.columns))
    values = np.column_stack([_numbers(columns[name], where, reading) for name in columns])
    are_labels = np.isin(values, (0.0, 1.0))
    how = "set by task" if task else "all are 0 or 1"
    if task == "multilabel" or (task is None and are_labels.all()):
        _refuse_no_label(names, values, are_labels, where)
        words = f"{listed(names, most=5)}: {len(names)} labels ({how})"
        return Target("multilabel", values, (), words, names)
    for name in columns:
        try:
            target(columns[name], "regression", where, reading)
        except DataError as error:
            way_out = f"{error.message} Remove {name} from targets."
            raise DataError(way_out, "data.targets") from None
    words = f"{listed(names, most=5)}: {len(names)} numbers"
    return Target("regression", values, (), words, names)


def _numbers(series: pd.Series, where: Where, reading: Reading) -> Floats:
    """Return the numbers of one of several targets."""
    name = str(series.name)
    try:
        cell_values.refuse_missing(series, f"the target {name!r}", where)
    except DataError as error:
        raise DataError(error.message, "data.targets") from None
    without = "remove {0} from targets"
    refuse_unread(series, reading.form, where, "data.targets", without)
    numbers, bad = cell_values.as_numbers(series, reading.form)
    if bad.any():
        row = int(bad.argmax())
        if dates_in(series, reading.order, where, is_feature=False) is not None:
            raise DataError(
                f"several targets must be numbers, but {name!r} has dates or times, such as "
                f"{str(series.iloc[row])[:50]!r} in {where(row)}. Remove {name} from targets.",
                "data.targets",
            )
        refuse_lookalikes(series, where, without)
        raise DataError(
            f"several targets must be numbers, but {name!r} has "
            f"{str(series.iloc[row])[:50]!r} in {where(row)}. Write labels as 0 and 1, correct a "
            f"mistake, or remove {name} from targets.",
            "data.targets",
        )
    return numbers


def _refuse_no_label(
    names: Sequence[str], values: Floats, are_labels: NDArray[np.bool_], where: Where
) -> None:
    """Refuse labels that are neither 0 nor 1, or equal in all rows."""
    for name, label, is_label in zip(names, values.T, are_labels.T, strict=True):
        if not is_label.all():
            row = int((~is_label).argmax())
            raise DataError(
                f"a label must be 0 or 1, but {name!r} is {label[row]:g} in {where(row)}. Correct "
                "it, or write task: regression.",
                "data.targets",
            )
        if (label == label[0]).all():
            raise DataError(
                f"the label {name!r} is {label[0]:g} in all rows: there is nothing to predict. "
                f"Remove {name} from targets.",
                "data.targets",
            )


def _dates(series: pd.Series, reading: Reading, where: Where) -> Dates | None:
    try:
        return dates_in(series, reading.order, where, is_feature=False)
    except DataError as error:
        way_out = "For classes, write task: classification."
        raise DataError(f"{error.message} {way_out}", error.setting) from None


def _seconds(series: pd.Series, dates: Dates, task: Task | None, where: Where) -> Target:
    """Return dates as their seconds, in every kind of file, if the user asks for numbers."""
    name, kind = str(series.name), PLURALS[dates.form.kind]
    if task is None:
        raise DataError(
            f"the target {name!r} has {kind}, such as {str(series.iloc[0])[:50]!r} in {where(0)}. "
            "Write task: regression to predict them in seconds, or task: classification for "
            "classes.",
            "data.target",
        )
    check_target(name, dates.elapsed, where)
    return Target("regression", dates.elapsed, (), f"{name}, {kind} in seconds (set by task)")


def _classes(series: pd.Series, name: str, how: str) -> Target:
    categories = cell_values.categories_of(series)
    n_classes = len(categories.labels)
    if n_classes < 2:
        label = categories.labels[0]
        message = f"the target {name!r} is {label!r} in all rows: there is nothing to predict."
        raise DataError(message, "data.target")
    if n_classes > max(MOST_CLASSES_OF_NUMBERS, len(series) / 2):
        raise DataError(
            f"the target {name!r} has {n_classes:,} different values in "
            f"{count(len(series), 'row')}: too many for classes. Choose another column, or write "
            "task: regression for numbers.",
            "data.target",
        )
    words = f"{name}, {count(n_classes, 'class')} ({how})"
    return Target("classification", categories.codes, categories.labels, words)


def _are_few_whole_numbers(numbers: Floats, n_values: int) -> bool:
    few = n_values <= min(MOST_CLASSES_OF_NUMBERS, max(2, len(numbers) // 10))
    return bool(few and np.all(np.mod(numbers, 1) == 0))


def groups(series: pd.Series, where: Where) -> Codes:
    """Return a number for each distinct value of a group column."""
    cell_values.refuse_missing(series, f"the group column {series.name!r}", where)
    codes: Codes = pd.factorize(cell_values.categories_of(series).codes)[0].astype(np.int64)
    if codes.max() == 0:
        raise DataError(f"column {series.name!r} has only one group.", "data.group")
    return codes


def weights(series: pd.Series, where: Where, form: NumberForm = PLAIN) -> Floats:
    """Return the weights: numbers of at least 0, not all of them 0."""
    cell_values.refuse_missing(series, f"the weights column {series.name!r}", where)
    refuse_unread(series, form, where, "data.weights", "remove data.weights")
    numbers, bad = cell_values.as_numbers(series, form)
    bad = bad | ~np.isfinite(numbers) | (numbers < 0)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"the weights column {series.name!r} must hold numbers of at least 0, but "
            f"{where(row)} has {str(series.iloc[row])[:50]!r}. Correct it, or remove weights.",
            "data.weights",
        )
    if not numbers.any():
        message = f"all weights in column {series.name!r} are 0. Remove data.weights."
        raise DataError(message, "data.weights")
    return numbers


def times(series: pd.Series, where: Where, reading: Reading = AS_IS) -> Floats:
    """Return numbers unchanged and dates in seconds, or ranks if floats would merge values."""
    cell_values.refuse_missing(series, f"the time column {series.name!r}", where)
    try:
        dates = dates_in(series, reading.order, where, is_feature=False)
    except DataError as error:
        setting = error.setting.replace("data.source", "data.time")
        raise DataError(error.message, setting) from None
    if dates is not None:
        return _told_apart(dates.elapsed, dates.ranks)
    refuse_unread(series, reading.form, where, "data.time", "remove data.time")
    numbers, bad = cell_values.as_numbers(series, reading.form)
    if bad.any():
        row = int(bad.argmax())
        has = f"but {where(row)} has {str(series.iloc[row])[:50]!r}. Write dates as 2026-01-31."
        raise DataError(f"column {series.name!r} must hold dates or numbers, {has}", "data.time")
    is_exact = pd.api.types.is_integer_dtype(series.dtype)
    return _told_apart(numbers, pd.factorize(series, sort=True)[0] if is_exact else numbers)


def _told_apart(values: Floats, ranks: NDArray[np.integer] | Floats) -> Floats:
    """Return the values if they distinguish as many cells as the ranks; else the ranks."""
    differ = len(np.unique(ranks)) > len(np.unique(values))
    return ranks.astype(np.float64) if differ else values


def fold_numbers(series: pd.Series) -> tuple[Codes, Codes | None]:
    """Return the folds and test rows that a column defines.

    Words (train, valid, test), true and false, and 0 and 1 mark the validation rows; anything else
    numbers the folds, and a row that is empty or negative always trains.

    Returns:
        The fold in which each row validates, or -1, (n_rows,); and the test rows, if any.
    """
    categories = cell_values.categories_of(series)
    codes, words = categories.codes, [label.lower() for label in categories.labels]
    is_named = set(words) <= _TRAIN | _VALID | _TEST
    if is_named or set(words) <= _YES | _NO:
        folds = np.array([*(0 if word in _VALID | _YES else -1 for word in words), -1])[codes]
    else:
        numbers, bad = cell_values.as_numbers(series)
        folds = np.where((numbers < 0) & ~bad, -1, codes)
        folds[folds >= 0] = np.unique(folds[folds >= 0], return_inverse=True)[1]
    _refuse_no_fold(series, folds, categories.labels)
    tests = [code for code, word in enumerate(words) if word in _TEST and is_named]
    test = np.flatnonzero(np.isin(codes, tests))
    return folds, test if len(test) else None


def _refuse_no_fold(series: pd.Series, folds: Codes, labels: tuple[str, ...]) -> None:
    n_folds = int(folds.max()) + 1
    if n_folds < 1 or n_folds > len(folds) / 2 or (n_folds == 1 and (folds >= 0).all()):
        raise DataError(
            f"column {series.name!r} must hold fold numbers, or `valid`, `true` or `1` in the "
            f"validation rows, but it has {listed(labels, most=5)}.",
            "validation.column",
        )
