"""Scale features and targets, fitted on the training part of a fold alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.preprocessing.scaling import scaler_of
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.study_file.settings.settings import Component

Floats = NDArray[np.float32]


def scaled(
    x_train: Tensor, x_valid: Tensor, scale: Component | None, seed: int
) -> tuple[Tensor, Tensor]:
    """Scale both parts to float32, fitted on the training part.

    Tables are scaled column by column. Pictures are scaled channel by channel over all pixels, so
    that neighbouring pixels keep their relation and a border that is always black stays so.
    Constant columns become 0 under `standard` and `minmax`.

    Args:
        x_train: (n_train, n_features) or (n_train, channels, height, width), float32 or float64.
        x_valid: (n_valid, …) of the same kind; it does not influence the first result.
        scale: `standard` (mean 0, standard deviation 1), `minmax` (0 to 1), `quantile` (by rank),
            or None to leave the numbers unscaled.
        seed: the seed for drawing the rows from which `quantile` takes its quantiles.
    """
    if scale is None:
        return x_train.float(), x_valid.float()
    columns = as_columns(x_train)
    scaler = scaler_of(scale, len(columns), seed).fit(columns)
    return transformed(scaler, x_train), transformed(scaler, x_valid)


@dataclass(frozen=True)
class TargetScale:
    """The scale of regression targets: original = standardized * std + mean."""

    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, y_train: Tensor) -> TargetScale:
        """Return mean and (population) standard deviation; 1 for the latter if all are equal.

        Args:
            y_train: (n_train,) float64.
        """
        values = y_train.numpy()
        if (values == values[0]).all():  # their mean may be off by the last bit
            return cls(float(values[0]))
        return cls(float(values.mean()), float(values.std()))

    def standardized(self, y: Tensor) -> Tensor:
        """Return float32 targets, rounded only after the mean is subtracted."""
        return ((y.double() - self.mean) / self.std).float()


def keeps_integers(x: Tensor | LoadedRows, scale: Component | None, integers: bool) -> bool:
    """Return whether rows stay whole numbers: a model wants them, and nothing scales them."""
    return integers and scale is None and x.dtype == torch.int64


def as_floats(x: Tensor) -> Tensor:
    """Return rows for scaling: whole numbers as float64, others unchanged."""
    return x.double() if x.dtype == torch.int64 else x


def as_columns(x: Tensor) -> Floats:
    """Return rows as columns: pictures as (n * height * width, channels), tables unchanged."""
    array: Floats = x.numpy()
    return array if array.ndim == 2 else np.moveaxis(array, 1, -1).reshape(-1, array.shape[1])


def transformed(scaler: Any, x: Tensor) -> Tensor:
    """Scale the columns of rows, and return them in the shape of the rows, float32."""
    values = np.asarray(scaler.transform(as_columns(x)), dtype=np.float32)
    if x.ndim > 2:
        n, channels, *size = x.shape
        values = np.moveaxis(values.reshape(n, *size, channels), -1, 1)
    return torch.from_numpy(np.ascontiguousarray(values))
