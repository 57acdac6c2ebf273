"""Features that are scaled on their way to the model, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tunecli.data.rows.features import batch_blocks
from tunecli.data.rows.streamed_rows import LoadedRows

CPU = torch.device("cpu")


class RowScale(Protocol):
    """Preprocessing of one batch at a time; see `Features` for its attributes."""

    @property
    def are_whole(self) -> bool: ...

    def on(self, device: torch.device, x: Tensor) -> Tensor:
        """Return rows as read, on the CPU, as a model gets them on `device`."""

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the least and the largest number of pixels."""


class ScaledFeatures:
    """Some rows of bytes that all folds and processes share, or of data larger than the memory.

    Bytes are gathered by numpy, three times as fast as by torch, and become float32 on the device.
    """

    lengths = None

    def __init__(
        self, x: Tensor | LoadedRows, rows: Tensor, scale: RowScale, device: torch.device = CPU
    ) -> None:
        """Take `rows`, (n_rows,) int64, of `x`, (n, *shape) on the CPU."""
        self.scale = scale
        self.are_whole = scale.are_whole
        self.shape = tuple(x.shape[1:])
        self.row_bytes = (8 if self.are_whole else 4) * math.prod(self.shape)
        self._x = x
        self._rows = rows
        self._device = device

    def __len__(self) -> int:
        return len(self._rows)

    def batches(
        self, rows: Tensor | None, sizes: Sequence[int], seed: int = 0
    ) -> Iterator[Tensor]:
        """Return the rows in batches of `sizes`; see `Features`."""
        wanted = self._rows[: sum(sizes)] if rows is None else self._rows[rows.cpu()]
        if isinstance(self._x, LoadedRows):
            parts = self._x.batches(wanted, sizes, seed)
        else:
            parts = self._gathered(self._x, wanted, sizes)
        for part in parts:  # scaled one by one, while in the CPU's cache
            yield self.scale.on(self._device, part)

    def _gathered(self, x: Tensor, wanted: Tensor, sizes: Sequence[int]) -> Iterator[Tensor]:
        for start, end, group in batch_blocks(sizes, self.row_bytes):
            block = np.take(x.numpy(), wanted[start:end].numpy(), axis=0)
            yield from torch.split(torch.from_numpy(block), group)

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the least and the largest number of pixels; see `Features`."""
        return self.scale.ends()

    def first(self, n_rows: int) -> ScaledFeatures:
        """Return the first rows alone."""
        return ScaledFeatures(self._x, self._rows[:n_rows], self.scale, self._device)

    def to(self, device: torch.device) -> ScaledFeatures:
        """Return the same features, with batches on `device`, which is sent bytes, not floats."""
        return ScaledFeatures(self._x, self._rows, self.scale, device)
