"""Features of rows that are loaded batch by batch: scaled on their way to the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from tunecli.data.preprocessing.number_scale import NumberScale
from tunecli.data.preprocessing.pixel_scale import PixelScale
from tunecli.data.rows.streamed_rows import LoadedRows

CPU = torch.device("cpu")


class LoadedFeatures:
    """Some rows of a data set that does not fit into memory."""

    def __init__(
        self,
        x: LoadedRows,
        rows: Tensor,
        scale: PixelScale | NumberScale,
        device: torch.device = CPU,
    ) -> None:
        """Take `rows`, (n_rows,) int64, of `x`."""
        self.scale = scale
        self.shape = tuple(x.shape[1:])
        self.are_whole = isinstance(scale, NumberScale) and scale.keeps(x.dtype)
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
        for part in self._x.batches(wanted, sizes, seed):
            yield self.scale.on(self._device, part)

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the least and the largest number of pixels; see `Features`."""
        return self.scale.black, self.scale.white

    def first(self, n_rows: int) -> LoadedFeatures:
        """Return the first rows alone."""
        return LoadedFeatures(self._x, self._rows[:n_rows], self.scale, self._device)

    def to(self, device: torch.device) -> LoadedFeatures:
        """Return the same features, with batches on `device`."""
        return LoadedFeatures(self._x, self._rows, self.scale, device)
