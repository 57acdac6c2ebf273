"""The data of a final model: all rows outside the test set, with preprocessing fitted on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.preparation import Preprocessing, fit_preprocessing, prepared_by
from tunecli.data.rows.dataset import Dataset, FoldData
from tunecli.data.splits.split import strata_of
from tunecli.data.splits.splitters import splitter_of
from tunecli.errors import DataError

VALIDATION_SHARE = 0.1
"""Share of the rows that is held out if the final training needs validation scores."""

_SMALLEST_SHARE = VALIDATION_SHARE / 2  # a smaller part says too little
_LEAST_USED = 0.95  # share of the rows in either part; groups and times together leave out more


@dataclass(frozen=True)
class FinalFit:
    """Data and fitted preprocessing of the final training.

    Attributes:
        fold: the data; without a validation part, the training part takes its place, and scores
            only show how well the training rows are fitted.
        has_validation: whether a validation part was cut off.
    """

    fold: FoldData
    preprocessing: Preprocessing
    has_validation: bool


def final_fit(
    store: FoldStore, form: FeatureForm, standardize_target: bool, cut_validation: bool
) -> FinalFit:
    """Prepare the data of the final training; for other arguments see `FoldStore.folds`.

    Args:
        cut_validation: hold out a tenth of the rows for scores, split in the same way as folds,
            if there are enough rows.
    """
    dataset, rows = store.dataset, store.split.search_rows
    cut = _cut(store) if cut_validation else None
    train, valid = cut or (rows, rows)
    fitted = fit_preprocessing(dataset, train, store.settings, form, store.workspace.cache)
    features = prepared_by(fitted, dataset, train, valid if cut else None, store.workspace.cache)
    fold = store.fold_data((train, valid), features, standardize_target)
    return FinalFit(fold, fitted, cut is not None)


def can_cut(store: FoldStore) -> bool:
    """Return whether a tenth of the rows can be held out of the others.

    Both parts must have rows of every class, and few rows may be in neither.
    """
    return _cut(store) is not None


def _cut(store: FoldStore) -> tuple[Tensor, Tensor] | None:
    """Return training and validation rows; None if there is no such cut, see `can_cut`."""
    dataset, rows = store.dataset, store.split.search_rows
    splitter = splitter_of(dataset, store.settings.split_seed)
    strata = strata_of(dataset, rows.numpy())
    try:
        parts = next(iter(splitter.holdout(rows.numpy(), strata, VALIDATION_SHARE, 1)))
    except (DataError, ValueError):  # too few times or groups; or rows of a class
        return None
    n_train, n_valid = map(len, parts)
    if n_valid < _SMALLEST_SHARE * len(rows) or n_train + n_valid < _LEAST_USED * len(rows):
        return None
    if any(_says_too_little(dataset, rows[part]) for part in parts):
        return None
    train, valid = (rows[torch.from_numpy(part).sort().values] for part in parts)
    return train, valid


def _says_too_little(dataset: Dataset, rows: Tensor) -> bool:
    """Return whether a part has a single row, or lacks a class that metrics may need."""
    return len(rows) < 2 or len(np.unique(dataset.y[rows].numpy())) < len(dataset.classes)
