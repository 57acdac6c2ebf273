"""Preprocess pictures of bytes for a model: scale them channel by channel."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor

from tunecli.data.cache.entries import NewArray, kept, key_of
from tunecli.data.preprocessing.scaled_features import ScaledFeatures
from tunecli.data.preprocessing.scaling import scaler_of
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.texts import TextRows
from tunecli.study_file.settings.settings import Component

N_LEVELS = 256
MOST_VALUES = 10**6
"""Most pixels for scalers that take no weights: their quantiles are off by a millionth."""
AT_ONCE = 2**24
"""Bytes to count at a time."""

Counts = NDArray[np.int64]
"""Number of pixels of each level, (channels, 256)."""


class FittedPixels:
    """A map from levels to numbers, per channel.

    Attributes:
        table: the number of each level, (channels, 256) float32 on the CPU.
        black, white: the numbers of levels 0 and 255, (channels, 1, 1).
    """

    kind = "pixels"
    are_whole = False
    cardinalities: ClassVar[tuple[int, ...]] = ()
    tokens: ClassVar[None] = None

    def __init__(self, table: Tensor) -> None:
        self._take(table)
        steps = torch.arange(N_LEVELS, dtype=torch.float32)
        straight = self.black[..., 0] + self._slope[..., 0] * steps
        self._is_straight = torch.allclose(straight, table, rtol=1e-4, atol=1e-5)
        self._is_plain = torch.equal(table, (steps / (N_LEVELS - 1)).expand_as(table))

    def _take(self, table: Tensor) -> None:
        self.table = table
        self.black = table[:, :1, None]
        self.white = table[:, -1:, None]
        self._slope = (self.white - self.black) / (N_LEVELS - 1)

    @classmethod
    def fit(cls, counts: Counts, scale: Component | None, seed: int) -> FittedPixels:
        """Fit to the counts of levels in the training part.

        Args:
            scale: the scale, as for tables, over all pixels of a channel; None for numbers from 0
                to 1, as from torchvision's `ToTensor`.
            seed: see `scaler_of`.
        """
        levels = np.arange(N_LEVELS, dtype=np.float32)
        if scale is None:
            return cls(torch.from_numpy(levels / 255).expand(len(counts), -1).clone())
        rows = [_scaler(scale, one, seed).transform(levels[:, None])[:, 0] for one in counts]
        return cls(torch.from_numpy(np.stack(rows).astype(np.float32)))

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor]) -> FittedPixels:
        """Restore a map from what `tensors` returned.

        Raises:
            KeyError, ValueError: the tensor is missing or does not fit.
        """
        levels = tensors["levels"].float()
        if levels.ndim != 2 or levels.shape[1] != N_LEVELS:
            raise ValueError(f"levels have the shape {tuple(levels.shape)}")
        return cls(levels)

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> FittedPixels:
        """Return the same map with its tensors elsewhere, named as in `tensors`."""
        moved = copy(self)
        moved._take(tensors["levels"])
        return moved

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that was fitted, for storage."""
        return {"levels": self.table}

    def on(self, device: torch.device, x: Tensor) -> Tensor:
        """Move bytes to `device`, a quarter of the size of floats, and scale them there."""
        return self(x.to(device))

    def __call__(self, x: Tensor | TextRows) -> Tensor:
        """Scale (n, channels, height, width) uint8 to float32, on its device."""
        assert isinstance(x, Tensor)
        values = x.float()
        if self._is_plain:
            return values.div_(N_LEVELS - 1)  # the same bits as torchvision's ToTensor
        if self._is_straight:
            return values.mul_(self._slope.to(x.device)).add_(self.black.to(x.device))
        levels = x.long().movedim(1, 0)
        looked_up = self.table.to(x.device).gather(1, levels.reshape(len(levels), -1))
        return looked_up.reshape(levels.shape).movedim(0, 1).contiguous()

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return what 0 (black) and 255 (white) become, (channels, 1, 1) each."""
        return self.black, self.white

    def features(self, x: Tensor | LoadedRows | TextRows, rows: Tensor) -> ScaledFeatures:
        """Prepare rows of a whole data set for training."""
        assert not isinstance(x, TextRows)
        return ScaledFeatures(x, rows, self)


def _scaler(scale: Component, counts: NDArray[np.int64], seed: int) -> Any:
    """Return scikit-learn's scaler, as if fitted to all pixels one by one."""
    present = np.flatnonzero(counts)
    levels, n_of_each = present.astype(np.float32)[:, None], counts[present]
    scaler = scaler_of(scale, int(min(n_of_each.sum(), MOST_VALUES)), seed)
    if isinstance(scaler, StandardScaler):
        return scaler.fit(levels.astype(np.float64), sample_weight=n_of_each)
    if isinstance(scaler, MinMaxScaler):
        return scaler.fit(levels)
    share = min(1.0, MOST_VALUES / n_of_each.sum())
    return scaler.fit(np.repeat(levels, np.maximum(1, np.rint(n_of_each * share).astype(int)), 0))


def level_counts(
    x: Tensor | LoadedRows, rows: Tensor, fingerprint: str, cache: Path | None
) -> Counts:
    """Count how often each level occurs in some rows, once for all processes.

    Args:
        x: all rows, (n, channels, height, width) uint8.
        rows: the rows to count, (n_rows,) int64.
        fingerprint: the fingerprint of the data set.
        cache: where the result is cached; None for nowhere.
    """

    def make(new: NewArray) -> Mapping[str, Any]:
        counts = new("counts", (x.shape[1], N_LEVELS), np.int64)
        counts[...] = 0
        for block in _blocks(x, rows):
            for channel in range(x.shape[1]):
                levels = block[:, channel].reshape(-1)
                counts[channel] += torch.bincount(levels, minlength=N_LEVELS).numpy()
        return {}

    which = hashlib.sha256(rows.numpy().tobytes()).hexdigest()
    return kept(cache, key_of("levels", fingerprint, which), make).arrays["counts"]


def _blocks(x: Tensor | LoadedRows, rows: Tensor) -> Iterator[Tensor]:
    """Read the rows, some megabytes at a time."""
    parts = torch.split(rows, max(1, AT_ONCE // max(1, math.prod(x.shape[1:]))))
    if isinstance(x, LoadedRows):
        yield from x.batches(rows, [len(some) for some in parts])
        return
    for some in parts:
        is_run = len(some) == some[-1] - some[0] + 1
        yield x[some[0] : some[-1] + 1] if is_run else x[some]
