"""The rows that a final model trains on: all outside the test set, prepared by what they show."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tunecli.data.fold_store import FoldStore, training_weights
from tunecli.data.preprocessing.fitted_preprocessing import Preprocessing, fit_preprocessing
from tunecli.data.preprocessing.scale_rows import TargetScale
from tunecli.data.rows.dataset import FoldData
from tunecli.data.splits.split import splitter_of
from tunecli.study_file.settings.settings import Component

VALIDATION_SHARE = 0.1
"""Of the rows, where a schedule needs a score to go by."""


@dataclass(frozen=True)
class FinalFit:
    """Data and fitted preprocessing of one training.

    Attributes:
        fold: whose validation part is the training part itself where none was cut: its scores say
            how well the training rows are fitted, nothing more.
        has_validation: whether a part was cut.
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
    """Prepare the final training; the arguments are those of `FoldStore.folds`.

    Args:
        cut_validation: leave a tenth of the rows for scores, as the folds would be cut.
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
