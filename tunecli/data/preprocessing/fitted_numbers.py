"""Preprocess arrays of numbers for a model, in memory or loaded batch by batch."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor

from tunecli.data.cache.entries import NewArray, kept, key_of
from tunecli.data.preprocessing.scaled_features import ScaledFeatures
from tunecli.data.preprocessing.scaling import FittedScale, as_columns, as_floats, scaler_of
from tunecli.data.rows.features import Features
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.texts import TextRows
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component

AT_ONCE = 2**24
"""Bytes to read at a time; the same on every machine, since it decides the rounding."""

Moments = Mapping[str, NDArray[Any]]
"""Statistics per column, or channel of pictures: `least` and `largest` in the rows' type; `mean`,
`var` and `scale` as in scikit-learn's StandardScaler."""


@dataclass(frozen=True)
class FittedNumbers:
    """Preprocessing of rows of numbers, (n, *shape): by column, or by channel of pictures.

    Attributes:
        scale: the scale, over all pixels of a channel: neighbouring pixels keep their relation,
            and a border that is always black stays so.
        are_whole: whether rows stay int64, unscaled: they are names, not amounts.
        moments: returns the moments of the training part if rows are loaded batch by batch; called
            only for `ends`.
    """

    scale: FittedScale
    are_whole: bool = False
    moments: Callable[[], Moments] | None = None
    cardinalities: ClassVar[tuple[int, ...]] = ()
    tokens: ClassVar[None] = None

    @property
    def kind(self) -> Literal["integers", "numbers"]:
        """The word for it in `model.json`."""
        return "integers" if self.are_whole else "numbers"

    def __call__(self, x: Tensor | TextRows) -> Tensor:
        """Turn rows as read into float32; whole numbers that stay unchanged are int64."""
        assert isinstance(x, Tensor)
        return x if self.are_whole else self.scale(as_floats(x))

    def on(self, device: torch.device, x: Tensor) -> Tensor:
        """Scale rows on the CPU, and move them to `device`."""
        return self(x).to(device)

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the scaled ends of each channel, (channels, 1, 1); scaling keeps the order."""
        assert self.moments is not None
        moments = self.moments()
        ends = torch.from_numpy(np.stack([moments["least"], moments["largest"]]))
        least, largest = self(ends[..., None, None])
        return least, largest

    def features(self, x: Tensor | LoadedRows | TextRows, rows: Tensor) -> Tensor | Features:
        """Prepare rows of a whole data set for training."""
        assert not isinstance(x, TextRows)
        return ScaledFeatures(x, rows, self) if isinstance(x, LoadedRows) else self(x[rows])

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> FittedNumbers:
        """Return the same map with its tensors elsewhere, named as in `tensors`."""
        return replace(self, scale=FittedScale.restored(tensors))

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that was fitted, for storage."""
        return self.scale.tensors()


def fit_loaded_numbers(
    x: LoadedRows,
    rows: Tensor,
    scale: Component | None,
    fingerprint: str,
    cache: Path | None,
    *,
    are_whole: bool = False,
) -> FittedNumbers:
    """Fit to the training part of rows that are loaded batch by batch.

    `minmax` gives the same bits as if all rows were in memory, `standard` the same up to rounding.

    Args:
        rows: the rows to fit to, (n_rows,) int64.
        scale: standard, minmax, or None to leave numbers unscaled.
        fingerprint: the fingerprint of the data set.
        cache: where the results of the pass are cached; None for nowhere.
        are_whole: see `FittedNumbers`.

    Raises:
        DataError: the scale needs all rows at once.
    """
    moments = functools.cache(lambda: _moments(x, rows, fingerprint, cache))
    if scale is None:
        return FittedNumbers(FittedScale(), are_whole, moments)
    scaler = scaler_of(scale, len(rows), seed=0)
    if isinstance(scaler, MinMaxScaler):
        scaler.fit(np.stack([moments()["least"], moments()["largest"]]))
    elif isinstance(scaler, StandardScaler):
        scaler.mean_, scaler.scale_ = moments()["mean"], moments()["scale"]
    else:
        raise DataError(
            f"{scale.name} needs all rows at once, but {x.source} is loaded batch by batch. Write "
            "standard, minmax or none, return pictures as bytes (uint8), or write "
            "data.in_memory: true.",
            "data.scale",
        )
    dtype = np.result_type(moments()["least"], np.float32)  # whole numbers are scaled as float64
    return FittedNumbers(FittedScale.of(scaler, dtype), moments=moments)


def _moments(x: LoadedRows, rows: Tensor, fingerprint: str, cache: Path | None) -> Moments:
    """Compute the moments in one pass over the rows, once for all processes."""

    def make(new: NewArray) -> Mapping[str, Any]:
        scaler, least, largest = StandardScaler(), np.inf, -np.inf
        n_at_once = max(1, AT_ONCE // x.row_bytes)
        sizes = [len(part) for part in torch.split(rows, n_at_once)]
        for block in x.batches(rows, sizes):
            columns = as_columns(block)
            scaler.partial_fit(columns)
            least = np.minimum(least, columns.min(axis=0))
            largest = np.maximum(largest, columns.max(axis=0))
        values = {"mean": scaler.mean_, "var": scaler.var_, "scale": scaler.scale_}
        ends = {"least": least, "largest": largest}
        for name, moment in {**values, **ends}.items():
            array = np.asarray(moment, columns.dtype if name in ends else np.float64)
            new(name, array.shape, array.dtype)[...] = array
        return {}

    which = hashlib.sha256(rows.numpy().tobytes()).hexdigest()
    return kept(cache, key_of("moments", fingerprint, which), make).arrays
