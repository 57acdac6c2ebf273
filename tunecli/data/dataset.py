"""A data set in memory: tensors, and what a model must know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tunecli.data.features import Features, as_features
from tunecli.study_file.settings import Task


@dataclass(frozen=True)
class Dataset:
    """Features and targets of all rows.

    Attributes:
        x: (n_rows, n_features) or (n_rows, channels, height, width), float32.
        y: (n_rows,) int64 class indices, or (n_rows,) float32 values.
        classes: names in the order of the indices; empty for regression.
        features: column names; empty for pictures.
    """

    name: str
    task: Task
    x: Tensor
    y: Tensor
    classes: Sequence[str] = ()
    features: Sequence[str] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row: (n_features,) or (channels, height, width)."""
        return tuple(self.x.shape[1:])


@dataclass(frozen=True)
class FoldData:
    """One fold's tensors, preprocessed by what was fitted on its training part alone.

    Attributes:
        number: of the fold, from 0; the seed of its training follows from it.
        x_train, y_train: the training part; regression targets are standardized unless the loss
            wants counts.
        x_valid, y_valid: the validation part; `y_valid` is in the original unit.
        valid_rows: indices of the validation rows in the data set, (n_valid,) int64.
        y_mean, y_std: of the training targets: original = standardized * y_std + y_mean; 0 and 1
            where targets are not standardized.
        n_classes: 0 for regression.
    """

    number: int
    task: Task
    x_train: Tensor | Features
    y_train: Tensor
    x_valid: Tensor | Features
    y_valid: Tensor
    valid_rows: Tensor
    n_classes: int
    y_mean: float = 0.0
    y_std: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row: (n_features,) or (channels, height, width)."""
        return as_features(self.x_train).shape

    def to(self, device: torch.device) -> FoldData:
        """The same fold with its tensors on `device`; no copy where they are there already."""
        return FoldData(
            number=self.number,
            task=self.task,
            x_train=self.x_train.to(device),
            y_train=self.y_train.to(device),
            x_valid=self.x_valid.to(device),
            y_valid=self.y_valid.to(device),
            valid_rows=self.valid_rows,
            n_classes=self.n_classes,
            y_mean=self.y_mean,
            y_std=self.y_std,
        )
