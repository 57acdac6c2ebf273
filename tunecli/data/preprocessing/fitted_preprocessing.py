"""Preprocessing that is fitted once and kept: for the final fit, and for predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.cache.entries import SMALL
from tunecli.data.preprocessing.encoding import BLOCK_ROWS, fit_encoder
from tunecli.data.preprocessing.fitted_scale import FittedScale
from tunecli.data.preprocessing.fitted_table import FittedTable
from tunecli.data.preprocessing.loaded_features import LoadedFeatures
from tunecli.data.preprocessing.number_scale import NumberScale, fit_number_scale
from tunecli.data.preprocessing.picture_features import CPU, PictureFeatures
from tunecli.data.preprocessing.pixel_scale import PixelScale, fit_pixel_scale, level_counts
from tunecli.data.preprocessing.scale_rows import (
    as_columns,
    as_floats,
    keeps_integers,
    transformed,
)
from tunecli.data.preprocessing.scaling import scaler_of
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.features import Features
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.study_file.settings.settings import Component, DataSettings

Array = NDArray[Any]


class Preprocessing(Protocol):
    """Preprocessing that was fitted on some rows, for any rows of the same kind.

    Attributes:
        cardinalities: numbers of codes of the last features; see `FoldData.cat_cardinalities`.
    """

    @property
    def cardinalities(self) -> tuple[int, ...]: ...

    def __call__(self, x: Tensor) -> Tensor:
        """Turn rows as read, (n, …), into rows as a model gets them.

        They are float32; whole numbers that stay unchanged are int64.
        """

    def features(self, x: Tensor | LoadedRows, rows: Tensor) -> Tensor | Features:
        """Prepare rows of a whole data set for training."""

    def arrays(self) -> dict[str, Array]:
        """Return everything that was fitted, for storage; see `preprocessing_from`."""


@dataclass(frozen=True)
class OfTable:
    """Preprocessing of a table's rows, (n, n_columns)."""

    fitted: FittedTable

    @property
    def cardinalities(self) -> tuple[int, ...]:
        return self.fitted.cardinalities

    def __call__(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self.fitted(as_floats(x).numpy()))

    def features(self, x: Tensor | LoadedRows, rows: Tensor) -> Tensor:
        assert isinstance(x, Tensor), "loaded rows have no columns"
        return torch.cat([self(x[some]) for some in torch.split(rows, BLOCK_ROWS)])

    def arrays(self) -> dict[str, Array]:
        return self.fitted.arrays()


@dataclass(frozen=True)
class OfBytes:
    """Preprocessing of pictures of bytes, (n, channels, height, width)."""

    scale: PixelScale
    cardinalities: tuple[int, ...] = ()

    def __call__(self, x: Tensor) -> Tensor:
        return self.scale.on(CPU, x)

    def features(self, x: Tensor | LoadedRows, rows: Tensor) -> Features:
        if isinstance(x, LoadedRows):
            return LoadedFeatures(x, rows, self.scale)
        return PictureFeatures(x, rows, self.scale)

    def arrays(self) -> dict[str, Array]:
        return {"levels": self.scale.table.numpy()}


@dataclass(frozen=True)
class OfNumbers:
    """Preprocessing of pictures of numbers, (n, channels, height, width), by channel."""

    scale: FittedScale
    loading: NumberScale | None = None  # the same, if rows are loaded batch by batch
    cardinalities: tuple[int, ...] = ()

    def __call__(self, x: Tensor) -> Tensor:
        return transformed(self.scale, as_floats(x))

    def features(self, x: Tensor | LoadedRows, rows: Tensor) -> Tensor | Features:
        if isinstance(x, LoadedRows):
            assert self.loading is not None
            return LoadedFeatures(x, rows, self.loading)
        return self(x[rows])

    def arrays(self) -> dict[str, Array]:
        return self.scale.arrays()


@dataclass(frozen=True)
class OfIntegers:
    """No preprocessing of whole numbers, (n, *shape) int64: they are names, not amounts."""

    loading: NumberScale | None = None  # if rows are loaded batch by batch
    cardinalities: tuple[int, ...] = ()

    def __call__(self, x: Tensor) -> Tensor:
        return x

    def features(self, x: Tensor | LoadedRows, rows: Tensor) -> Tensor | Features:
        if isinstance(x, LoadedRows):
            assert self.loading is not None
            return LoadedFeatures(x, rows, self.loading)
        return x[rows]

    def arrays(self) -> dict[str, Array]:
        return {}


def fit_preprocessing(
    dataset: Dataset,
    rows: Tensor,
    settings: DataSettings,
    scale: Component | None,
    embeds: bool,
    cache: Path | None = None,
    *,
    integers: bool = False,
) -> Preprocessing:
    """Fit on `rows` of a data set, (n,) int64; for other arguments see `preparation.prepared`."""
    x = dataset.x
    if isinstance(x, Tensor) and keeps_integers(x, scale, integers):
        return OfIntegers()
    if dataset.columns:
        assert isinstance(x, Tensor), "loaded rows have no columns"
        x_train = as_floats(x[rows]).numpy()
        encoder = fit_encoder(dataset.columns, x_train, settings, scale, embeds)
        return OfTable(FittedTable.of(encoder, dataset.columns, x_train.dtype))
    if x.dtype == torch.uint8:
        where = None if dataset.x_bytes <= SMALL else cache
        counts = level_counts(x, rows, dataset.fingerprint, where)
        return OfBytes(fit_pixel_scale(counts, scale, settings.split_seed))
    if isinstance(x, LoadedRows):
        loading = fit_number_scale(x, rows, scale, dataset.fingerprint, cache, integers=integers)
        if keeps_integers(x, scale, integers):
            return OfIntegers(loading)
        dtype = as_floats(torch.empty(0, dtype=x.dtype)).numpy().dtype
        fitted = loading.scaler
        plain = FittedScale() if fitted is None else FittedScale.of(fitted, dtype)
        return OfNumbers(plain, loading)
    if scale is None:
        return OfNumbers(FittedScale())
    columns = as_columns(as_floats(x[rows]))
    scaler = scaler_of(scale, len(columns), settings.split_seed).fit(columns)
    return OfNumbers(FittedScale.of(scaler, columns.dtype))


def preprocessing_from(kind: str, arrays: Mapping[str, Array]) -> Preprocessing:
    """Restore preprocessing from what `arrays` returned.

    Args:
        kind: the kind of preprocessing: the name of its class.

    Raises:
        KeyError, ValueError: an array is missing or does not fit.
    """
    if kind == "OfTable":
        return OfTable(FittedTable.restored(arrays))
    if kind == "OfBytes":
        levels = np.array(arrays["levels"], dtype=np.float32)
        if levels.ndim != 2 or levels.shape[1] != 256:
            raise ValueError(f"levels have the shape {levels.shape}")
        return OfBytes(PixelScale(torch.from_numpy(levels)))
    if kind == "OfIntegers":
        return OfIntegers()
    if kind == "OfNumbers":
        return OfNumbers(FittedScale.restored(arrays))
    raise ValueError(f"unknown preprocessing {kind!r}")
