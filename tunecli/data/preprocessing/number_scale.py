"""Scale rows of numbers that are loaded batch by batch, fitted in one pass over them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor

from tunecli.data.cache.entries import CacheEntry, NewArray, kept, key_of
from tunecli.data.preprocessing.scale_rows import as_columns, transformed
from tunecli.data.preprocessing.scaling import scaler_of
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component

AT_ONCE = 2**24
"""Bytes to read at a time; the same on every machine, since it decides the rounding."""

Moments = Mapping[str, NDArray[Any]]
"""Statistics per column, or channel of pictures: `least` and `largest` in the rows' type; `mean`,
`var` and `scale` as in scikit-learn's StandardScaler."""


class NumberScale:
    """A scale that turns rows into what a model gets, (n, *shape) float32.

    Attributes:
        scaler: the fitted scaler of scikit-learn; None to leave numbers unscaled.
    """

    def __init__(
        self, scaler: Any, moments: Callable[[], Moments], *, integers: bool = False
    ) -> None:
        """Scale with a fitted scaler of scikit-learn; None leaves numbers unscaled.

        Args:
            moments: returns those of the training part; called only for `black` and `white`.
            integers: leave unscaled rows of int64 unchanged.
        """
        self.scaler = scaler
        self._moments = moments
        self._integers = integers

    def on(self, device: torch.device, x: Tensor) -> Tensor:
        """Scale rows of numbers on the CPU, and move them to `device`."""
        if self.scaler is not None:
            return transformed(self.scaler, x).to(device)
        return (x if self.keeps(x.dtype) else x.float()).to(device)

    def keeps(self, dtype: torch.dtype) -> bool:
        """Return whether rows of that type stay whole numbers."""
        return self._integers and self.scaler is None and dtype == torch.int64

    @property
    def black(self) -> Tensor:
        """The least number of each channel of the training part, (channels, 1, 1)."""
        return self._ends[0]

    @property
    def white(self) -> Tensor:
        """The largest number of each channel of the training part, (channels, 1, 1)."""
        return self._ends[1]

    @cached_property
    def _ends(self) -> Tensor:
        """Scaled ends of the rows, (2, channels, 1, 1); scaling keeps the order."""
        moments = self._moments()
        ends = np.stack([moments["least"], moments["largest"]])
        return self.on(torch.device("cpu"), torch.from_numpy(ends)[..., None, None])


def fit_number_scale(
    x: LoadedRows,
    rows: Tensor,
    scale: Component | None,
    fingerprint: str,
    cache: Path | None,
    *,
    integers: bool = False,
) -> NumberScale:
    """Fit to the training part.

    `minmax` gives the same bits as if all rows were in memory, `standard` the same up to rounding.

    Args:
        rows: the rows to fit to, (n_rows,) int64.
        scale: standard, minmax, or None to leave numbers unscaled.
        fingerprint: the fingerprint of the data set.
        cache: where the results of the pass are cached; None for nowhere.
        integers: see `NumberScale`.

    Raises:
        DataError: the scale needs all rows at once.
    """

    def moments() -> Moments:
        return _moments(x, rows, fingerprint, cache).arrays

    if scale is None:
        return NumberScale(None, moments, integers=integers)
    scaler = scaler_of(scale, len(rows), seed=0)
    if isinstance(scaler, MinMaxScaler):
        ends = moments()
        return NumberScale(scaler.fit(np.stack([ends["least"], ends["largest"]])), moments)
    if isinstance(scaler, StandardScaler):
        return NumberScale(_restored(scaler, moments(), len(rows)), moments)
    raise DataError(
        f"{scale.name} needs all rows at once, but {x.source} is loaded batch by batch. Write "
        "standard, minmax or none, return pictures as bytes (uint8), or write "
        "data.in_memory: true.",
        "data.scale",
    )


def _restored(scaler: StandardScaler, moments: Moments, n_rows: int) -> StandardScaler:
    """Set the attributes that scikit-learn documents, as if the scaler had been fitted."""
    scaler.mean_ = moments["mean"]
    scaler.var_ = moments["var"] if scaler.with_std else None
    scaler.scale_ = moments["scale"] if scaler.with_std else None
    scaler.n_features_in_ = len(moments["mean"])
    scaler.n_samples_seen_ = n_rows
    return scaler


def _moments(x: LoadedRows, rows: Tensor, fingerprint: str, cache: Path | None) -> CacheEntry:
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
    return kept(cache, key_of("moments", fingerprint, which), make)
