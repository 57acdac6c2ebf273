"""Columns that define the splits and the weight of a row: groups, times, weights, folds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.cell_identity import categories_of
from tunecli.data.columns.cell_values import (
    Codes,
    Floats,
    Where,
    as_numbers,
    refuse_missing,
)
from tunecli.data.columns.column_kinds import AS_IS, Reading
from tunecli.data.columns.dates import dates_in
from tunecli.data.columns.number_forms import PLAIN, NumberForm
from tunecli.data.columns.unread_numbers import refusals, unread
from tunecli.errors import DataError
from tunecli.study_file.text.suggestions import listed

_TRAIN = {"train", "training", "fit"}
_VALID = {"valid", "val", "validation", "dev"}
_TEST = {"test"}


def groups(series: pd.Series, where: Where) -> Codes:
    """Return a number for each distinct value of a group column."""
    refuse_missing(series, f"the group column {series.name!r}", where)
    codes: Codes = pd.factorize(categories_of(series).codes)[0].astype(np.int64)
    if codes.max() == 0:
        raise DataError(f"column {series.name!r} has only one group.", "data.group")
    return codes


def weights(series: pd.Series, where: Where, form: NumberForm = PLAIN) -> Floats:
    """Return the weights: numbers of at least 0, not all of them 0."""
    refuse_missing(series, f"the weights column {series.name!r}", where)
    _refuse_unread(series, form, "data.weights", where)
    numbers, bad = as_numbers(series, form)
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
    refuse_missing(series, f"the time column {series.name!r}", where)
    try:
        dates = dates_in(series, reading.order, where, is_feature=False)
    except DataError as error:
        setting = error.setting.replace("data.source", "data.time")
        raise DataError(error.message, setting) from None
    if dates is not None:
        return _told_apart(dates.elapsed, dates.ranks)
    _refuse_unread(series, reading.form, "data.time", where)
    numbers, bad = as_numbers(series, reading.form)
    if bad.any():
        row = int(bad.argmax())
        cell = str(series.iloc[row])[:50]
        message = (
            f"column {series.name!r} must hold dates or numbers, but {where(row)} has {cell!r}."
        )
        raise DataError(f"{message} Write dates as 2026-01-31.", "data.time")
    is_exact = pd.api.types.is_integer_dtype(series.dtype)
    return _told_apart(numbers, pd.factorize(series, sort=True)[0] if is_exact else numbers)


def _refuse_unread(series: pd.Series, form: NumberForm, setting: str, where: Where) -> None:
    unreadable = unread(series, form)
    if unreadable is not None:
        way_out = f"remove {setting}"
        (refusal,) = refusals([unreadable], form, (), where, way_out, may_lack=False)
        raise DataError(refusal.message, setting)


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
    categories = categories_of(series)
    codes, labels = categories.codes, categories.labels
    words = [label.lower() for label in labels]
    if set(words) <= _TRAIN | _VALID | _TEST:
        label_folds = np.array([0 if word in _VALID else -1 for word in words] + [-1])
        tests = [code for code, word in enumerate(words) if word in _TEST]
        test = np.flatnonzero(np.isin(codes, tests))
        folds = label_folds[codes]
        _refuse_no_fold(series, folds, labels)
        return folds, test if len(test) else None
    if set(words) <= {"0", "1", "true", "false"}:
        label_folds = np.array([0 if word in ("1", "true") else -1 for word in words] + [-1])
        folds = label_folds[codes]
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
            f"column {series.name!r} must hold fold numbers, or mark validation rows as valid, "
            f"true or 1, but it has {listed(labels, most=5)}.",
            "validation.column",
        )
