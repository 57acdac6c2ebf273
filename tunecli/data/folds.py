"""Which rows are put away for the test, and which train and validate in each fold.

One pure function of the targets and the settings: `split_seed` alone decides, never the study's
`seed`, so that two studies on the same data never train on each other's test rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import (
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from torch import Tensor

from tunecli.data.dataset import Dataset
from tunecli.errors import DataError
from tunecli.study_file.settings import DataSettings, ValidationSettings

Rows = NDArray[np.int64]
LARGEST_SEED = 2**32 - 1
"""Of numpy's RandomState, which scikit-learn uses."""


@dataclass(frozen=True)
class Split:
    """Indices of rows in the data set, each (n,) int64 and ascending.

    Attributes:
        search_rows: those that trials see.
        test_rows: those that they never see; empty without a test set.
        folds: (training rows, validation rows) of each fold; both of them search rows.
    """

    search_rows: Tensor
    test_rows: Tensor
    folds: tuple[tuple[Tensor, Tensor], ...]


def split(dataset: Dataset, data: DataSettings, validation: ValidationSettings) -> Split:
    """Cut the test set first, then the folds from what is left; stratified for classification.

    Args:
        dataset: only its targets and its number of rows matter.
        data: `test` and `split_seed`.
        validation: either `folds` or `holdout` given.

    Raises:
        DataError: if there are too few rows, or too few of a class.
    """
    if data.split_seed > LARGEST_SEED:
        raise DataError(f"data.split_seed must be at most {LARGEST_SEED}, got {data.split_seed}.")
    stratified = dataset.task == "classification"
    y = dataset.y.numpy()
    search, test = np.arange(len(y)), np.arange(0)
    if data.test:
        _check_cut(dataset, search, data.test, "data.test")
        search, test = next(_holdout(data.test, 1, data.split_seed, stratified).split(y, y))
    search, test = np.sort(search), np.sort(test)
    _check_validation(dataset, search, validation)
    splitter = _splitter(validation, data.split_seed, stratified)
    folds = splitter.split(search, y[search])
    return Split(_tensor(search), _tensor(test), tuple(_fold_rows(search, folds)))


def n_fits(validation: ValidationSettings) -> int:
    """Models that one trial trains."""
    return (validation.folds or 1) * validation.repeats


def validation_in_words(validation: ValidationSettings, stratified: bool) -> str:
    """For the screen, e.g. `5 stratified folds`."""
    kind = "stratified " if stratified else ""
    times = f", {validation.repeats} times" if validation.repeats > 1 else ""
    if validation.folds:
        return f"{validation.folds} {kind}folds{times}"
    return f"a {kind}holdout of {validation.holdout:g}{times}"


def _holdout(share: float, times: int, seed: int, stratified: bool) -> Any:
    splitter = StratifiedShuffleSplit if stratified else ShuffleSplit
    return splitter(n_splits=times, test_size=share, random_state=seed)


def _splitter(validation: ValidationSettings, seed: int, stratified: bool) -> Any:
    """Scikit-learn's splitter for the validation settings."""
    folds, repeats = validation.folds, validation.repeats
    if folds is None:
        assert validation.holdout is not None, "the study file's defaults are filled in"
        return _holdout(validation.holdout, repeats, seed, stratified)
    if repeats == 1:
        plain = StratifiedKFold if stratified else KFold
        return plain(n_splits=folds, shuffle=True, random_state=seed)
    repeated = RepeatedStratifiedKFold if stratified else RepeatedKFold
    return repeated(n_splits=folds, n_repeats=repeats, random_state=seed)


def _fold_rows(
    search: Rows, folds: Iterable[tuple[Rows, Rows]]
) -> Iterable[tuple[Tensor, Tensor]]:
    """Positions among the search rows, as rows of the data set."""
    for train, valid in folds:
        yield _tensor(np.sort(search[train])), _tensor(np.sort(search[valid]))


def _tensor(rows: Rows) -> Tensor:
    return torch.from_numpy(rows.astype(np.int64))


def _check_validation(dataset: Dataset, search: Rows, validation: ValidationSettings) -> None:
    """Every class must be in every validation part, every fold must have rows to train on."""
    if validation.folds is None:
        assert validation.holdout is not None, "the study file's defaults are filled in"
        _check_cut(dataset, search, validation.holdout, "validation.holdout")
        return
    ways = f"Write validation: {{folds: …}} with fewer than {validation.folds}, or use more data."
    if len(search) < 2 * validation.folds:
        raise DataError(
            f"{len(search)} rows are too few for {validation.folds} folds of two rows. {ways}",
            "validation.folds",
        )
    for name, count in _class_counts(dataset, search):
        if count < validation.folds:
            raise DataError(
                f"class {name!r} has {count} of the rows to search on, too few for "
                f"{validation.folds} folds: each validation part needs one. {ways}",
                "validation.folds",
            )


def _check_cut(dataset: Dataset, rows: Rows, share: float, setting: str) -> None:
    """A share can be cut off if both parts get a row, and for each class one."""
    n_cut = int(np.ceil(share * len(rows)))  # as scikit-learn rounds
    needed = max(1, len(dataset.classes))
    if min(n_cut, len(rows) - n_cut) < needed:
        raise DataError(
            f"{share:g} of {len(rows)} rows leaves {n_cut} and {len(rows) - n_cut}, "
            f"but both parts need at least {needed}. Choose another share, or use more data.",
            setting,
        )
    for name, count in _class_counts(dataset, rows):
        if count < 2:
            raise DataError(
                f"class {name!r} has {count} row, so it cannot be in both parts. "
                "Leave the class out, or use more data.",
                setting,
            )


def _class_counts(dataset: Dataset, rows: Rows) -> list[tuple[str, int]]:
    """Rows of each class; empty for regression."""
    if dataset.task == "regression":
        return []
    counts = np.bincount(dataset.y.numpy()[rows], minlength=len(dataset.classes))
    return [(name, int(count)) for name, count in zip(dataset.classes, counts, strict=True)]
