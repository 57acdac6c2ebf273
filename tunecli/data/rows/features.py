"""The features of some rows, wherever they lie: training asks for them batch by batch.

Tables and small pictures are one tensor; large ones may lie in a file that is mapped into memory,
or come from a data set that loads row by row. Whoever trains knows only this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Protocol

import torch
from torch import Tensor

BLOCK_BYTES = 8 * 2**20
"""Features gathered at once; a block holds at least one batch."""


class Features(Protocol):
    """Features of n rows, in the order of their targets."""

    @property
    def are_whole(self) -> bool:
        """Whether they are whole numbers as they came, int64; else float32."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row, as models get it: (n_features,) or (channels, height, width)."""

    @property
    def row_bytes(self) -> int:
        """Memory of one row as models get it."""

    def __len__(self) -> int: ...

    def batches(
        self, rows: Tensor | None, sizes: Sequence[int], seed: int = 0
    ) -> Iterator[Tensor]:
        """The rows in groups of `sizes`, each (size, *shape) on the device.

        Args:
            rows: (sum of sizes,) int64, which and in which order; None for the first of them.
            seed: of what rows may draw while they are loaded; training gives one for each epoch.
        """

    def ends(self) -> tuple[Tensor, Tensor]:
        """The least and the largest number that a pixel has, (channels, 1, 1) each.

        Of bytes those of 0 (black) and 255 (white); else what the rows hold.
        """

    def first(self, n_rows: int) -> Features:
        """The first rows alone."""

    def to(self, device: torch.device) -> Features:
        """The same, giving its batches on `device`."""


class TensorFeatures:
    """Rows of one tensor.

    They are gathered in blocks of a few megabytes: one gather a batch costs time with small
    models, and one gather an epoch costs memory with large data.
    """

    def __init__(self, x: Tensor) -> None:
        """Take the rows of `x`, (n_rows, *shape)."""
        self.x = x
        self.are_whole = x.dtype == torch.int64
        self.shape = tuple(x.shape[1:])
        self.row_bytes = max(1, x.element_size() * x[0].numel()) if len(x) else 1

    def __len__(self) -> int:
        return len(self.x)

    def batches(self, rows: Tensor | None, sizes: Sequence[int], _: int = 0) -> Iterator[Tensor]:
        """The rows in groups of `sizes`; see `Features`."""
        for start, end, group in batch_blocks(sizes, self.row_bytes):
            if rows is None:
                block = self.x[start:end]
            else:
                block = self.x.index_select(0, rows[start:end])
            yield from torch.split(block, group)

    def ends(self) -> tuple[Tensor, Tensor]:
        """The ends of the numbers of pixels; see `Features`."""
        least, largest = self.x.amin(dim=(0, 2, 3)), self.x.amax(dim=(0, 2, 3))
        return least[:, None, None], largest[:, None, None]

    def first(self, n_rows: int) -> TensorFeatures:
        """The first rows alone."""
        return TensorFeatures(self.x[:n_rows])

    def to(self, device: torch.device) -> TensorFeatures:
        """The same on `device`; no copy where they are there already."""
        return TensorFeatures(self.x.to(device))


def as_features(x: Tensor | Features) -> Features:
    """A tensor's rows as features; features as they are."""
    return TensorFeatures(x) if isinstance(x, Tensor) else x


def batch_blocks(sizes: Sequence[int], row_bytes: int) -> Iterator[tuple[int, int, list[int]]]:
    """Consecutive batches that are gathered together.

    Yields:
        first row, row behind the last, and the sizes between them.
    """
    n = max(1, BLOCK_BYTES // (row_bytes * max(sizes, default=1)))  # batches a block
    ends = (0, *accumulate(sizes))
    bounds = [*range(0, len(sizes), n), len(sizes)]
    for first, last in pairwise(bounds):
        yield ends[first], ends[last], list(sizes[first:last])
