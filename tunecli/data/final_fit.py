"""The data of a final model: all rows outside the test set, with preprocessing fitted on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tunecli.data.fold_store import FoldStore, training_weights
from tunecli.data.preprocessing.fitted_preprocessing import Preprocessing, fit_preprocessing
from tunecli.data.preprocessing.scale_rows import TargetScale
from tunecli.data.rows.dataset import FoldData
from tunecli.data.splits.splitters import splitter_of
from tunecli.study_file.settings.settings import Component

VALIDATION_SHARE = 0.1
"""Share of the rows that is held out when a schedule needs validation scores."""


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
    store: FoldStore,
    scale: Component | None,
    standardize_target: bool,
    embeds: bool,
    cut_validation: bool,
    integers: bool = False,
) -> FinalFit:
    """Prepare the data of the final training; for other arguments see `FoldStore.folds`.

    Args:
        cut_validation: hold out a tenth of the rows for scores, split in the same way as folds.
    """
    dataset, rows = store.dataset, store.split.search_rows
    train, valid = _cut(store, rows) if cut_validation else (rows, rows)
    fitted = fit_preprocessing(
        dataset,
        train,
        store.settings,
        scale,
        embeds,
        store.workspace.cache,
        integers=integers,
    )
    x_train = fitted.features(dataset.x, train)
    x_valid = fitted.features(dataset.x, valid) if cut_validation else x_train
    y_train = dataset.y[train]
    is_scaled = standardize_target and dataset.task == "regression"
    target = TargetScale.of(y_train) if is_scaled else TargetScale()
    fold = FoldData(
        number=0,
        task=dataset.task,
        x_train=x_train,
        y_train=target.standardized(y_train) if is_scaled else y_train,
        x_valid=x_valid,
        y_valid=dataset.y[valid],
        valid_rows=valid,
        n_classes=len(dataset.classes),
        y_mean=target.mean,
        y_std=target.std,
        cat_cardinalities=fitted.cardinalities,
        train_weights=training_weights(dataset, train),
        valid_weights=dataset.weights_of(valid),
    )
    return FinalFit(fold, fitted, cut_validation)


def _cut(store: FoldStore, rows: Tensor) -> tuple[Tensor, Tensor]:
    dataset = store.dataset
    splitter = splitter_of(dataset, store.settings.split_seed)
    strata = dataset.y[rows].numpy() if dataset.task == "classification" else None
    train, valid = next(iter(splitter.holdout(rows.numpy(), strata, VALIDATION_SHARE, 1)))
    train_rows, valid_rows = (
        rows[torch.from_numpy(part).sort().values] for part in (train, valid)
    )
    return train_rows, valid_rows
