"""What is to be predicted: classes or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.cell_identity import categories_of
from tunecli.data.cell_values import Floats, Where, as_numbers, refuse_missing
from tunecli.data.column_kinds import AS_IS, Reading, collapsed
from tunecli.data.dates import PLURALS, Dates, dates_in
from tunecli.data.lookalikes import refuse_lookalikes
from tunecli.data.magnitudes import check_target
from tunecli.data.number_forms import NumberForm
from tunecli.data.unread_numbers import refusals, unread
from tunecli.errors import DataError
from tunecli.study_file.counts import count
from tunecli.study_file.settings import Task

MOST_CLASSES_OF_NUMBERS = 20
"""Whole numbers of more different values are amounts."""


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


def target(series: pd.Series, task: Task | None, where: Where, reading: Reading = AS_IS) -> Target:
    """Classes or numbers, as `task` says or the cells tell.

    Args:
        reading: how its numbers and dates are written.

    Raises:
        DataError: cells are missing, all alike, or do not fit the task.
    """
    name = str(series.name)
    refuse_missing(series, f"the target {name!r}", where)
    if task != "classification":
        if (dates := _dates(series, reading, where)) is not None:
            return _seconds(series, dates, task, where)
        _refuse_unread(series, reading.form, where)
    numbers, bad = as_numbers(series, reading.form)
    if task != "classification" and bad.any():
        refuse_lookalikes(series, where, "task: classification")
    n_values = series.nunique()
    is_text = bool(bad.any()) or pd.api.types.is_bool_dtype(series.dtype)
    is_few = _are_few_whole_numbers(numbers, n_values) and not is_text
    if task == "classification" or (task is None and (is_text or is_few)):
        how = "as task says" if task else "text" if is_text else "few whole numbers"
        return _classes(series, name, how)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"task: regression needs numbers, but the target {name!r} has "
            f"{str(series.iloc[row])[:50]!r} in {where(row)}. Correct it, or write task: "
            "classification.",
            "data.task",
        )
    if not np.isfinite(numbers).all():
        place = where(int((~np.isfinite(numbers)).argmax()))
        raise DataError(f"the target {name!r} is infinite in {place}.", "data.target")
    if (twin := collapsed(series, numbers)) is not None:
        raise DataError(
            f"the target {name!r} has whole numbers beyond 2^53, such as {series.iloc[twin]} in "
            f"{where(twin)}, of which several are one number in float64. Subtract an offset, or "
            "write task: classification.",
            "data.target",
        )
    check_target(name, numbers, where)
    how = "as task says" if task else f"{n_values:,} different ones"
    return Target("regression", numbers, (), f"{name}, numbers ({how})")


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
            "Write task: regression to predict their seconds, or task: classification for "
            "classes.",
            "data.target",
        )
    check_target(name, dates.elapsed, where)
    return Target("regression", dates.elapsed, (), f"{name}, seconds of {kind} (as task says)")


def _refuse_unread(series: pd.Series, form: NumberForm, where: Where) -> None:
    found = unread(series, form)
    if found is not None:
        way_out = "task: classification"
        (refusal,) = refusals([found], form, (), where, way_out, may_lack=False)
        raise DataError(refusal.message, "data.target")


def _classes(series: pd.Series, name: str, how: str) -> Target:
    found = categories_of(series)
    n_classes = len(found.labels)
    if n_classes < 2:
        label = found.labels[0]
        message = f"the target {name!r} is {label!r} in all rows: there is nothing to tell."
        raise DataError(message, "data.target")
    if n_classes > max(MOST_CLASSES_OF_NUMBERS, len(series) / 2):
        raise DataError(
            f"the target {name!r} has {n_classes:,} different values in "
            f"{count(len(series), 'row')}: too "
            "many for classes. Name another column, or write task: regression for numbers.",
            "data.target",
        )
    words = f"{name}, {count(n_classes, 'class')} ({how})"
    return Target("classification", found.codes, found.labels, words)


def _are_few_whole_numbers(numbers: Floats, n_values: int) -> bool:
    few = n_values <= min(MOST_CLASSES_OF_NUMBERS, max(2, len(numbers) // 10))
    return bool(few and np.all(np.mod(numbers, 1) == 0))
