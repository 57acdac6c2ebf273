"""The features of some rows, wherever they are stored: training asks for them batch by batch.

Tables and small pictures are one tensor; large ones may be in a file that is mapped into memory,
or come from a data set that loads row by row. Training code uses only this interface.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Protocol

import torch
from torch import Tensor

BLOCK_BYTES = 8 * 2**20
"""Bytes of features to gather at once; a block holds at least one batch."""


class Features(Protocol):
    """Features of n rows, in the order of their targets."""

    @property
    def are_whole(self) -> bool:
        """Whether they are unchanged whole numbers, int64; else they are float32."""

    @property
    def lengths(self) -> Tensor | None:
        """Number of tokens of each row, (n,) int64; None if all rows have one shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, as models get it: (n_features,) or (channels, height, width).

        For rows of tokens, that of the longest one.
        """

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, as models get it."""

    def __len__(self) -> int: ...

    def batches(
        self, rows: Tensor | None, sizes: Sequence[int], seed: int = 0
    ) -> Iterator[Tensor]:
        """Return the rows in batches of `sizes`, each (size, *shape) on the device.

        Rows of tokens are padded to the longest one of their batch.

        Args:
            rows: (sum of sizes,) int64, which rows in which order; None for the first ones.
            seed: seed of what rows may draw while they are loaded; training gives one per epoch.
        """

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the least and the largest number of a pixel, (channels, 1, 1) each.

        For bytes, these are what 0 (black) and 255 (white) become; else those in the rows.
        """

    def first(self, n_rows: int) -> Features:
        """Return the first rows alone."""

    def to(self, device: torch.device) -> Features:
        """Return the same features, with batches on `device`."""


class TensorFeatures:
    """Rows of one tensor.

    They are gathered in blocks of a few megabytes: one gather per batch costs time with small
    models, and one gather per epoch costs memory with large data.
    """

    lengths = None

    def __init__(self, x: Tensor) -> None:
        """Take the rows of `x`, (n_rows, *shape)."""
        self.x = x
        self.are_whole = x.dtype == torch.int64
        self.shape = tuple(x.shape[1:])
        self.row_bytes = max(1, x.element_size() * x[0].numel()) if len(x) else 1

    def __len__(self) -> int:
        return len(self.x)

    def batches(self, rows: Tensor | None, sizes: Sequence[int], _: int = 0) -> Iterator[Tensor]:
        """Return the rows in batches of `sizes`; see `Features`."""
        for start, end, group in batch_blocks(sizes, self.row_bytes):
            if rows is None:
                block = self.x[start:end]
            else:
                block = self.x.index_select(0, rows[start:end])
            yield from torch.split(block, group)

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the least and the largest number of pixels; see `Features`."""
        least, largest = self.x.amin(dim=(0, 2, 3)), self.x.amax(dim=(0, 2, 3))
        return least[:, None, None], largest[:, None, None]

    def first(self, n_rows: int) -> TensorFeatures:
        """Return the first rows alone."""
        return TensorFeatures(self.x[:n_rows])

    def to(self, device: torch.device) -> TensorFeatures:
        """Return the same features on `device`; a tensor already there is shared."""
        return TensorFeatures(self.x.to(device))


def as_features(x: Tensor | Features) -> Features:
    """Return a tensor's rows as features; features unchanged."""
    return TensorFeatures(x) if isinstance(x, Tensor) else x


def batch_blocks(sizes: Sequence[int], row_bytes: int) -> Iterator[tuple[int, int, list[int]]]:
    """Group consecutive batches that are gathered together.

    Yields:
        The first row, the row after the last, and the sizes of the batches between them.
    """
    n = max(1, BLOCK_BYTES // (row_bytes * max(sizes, default=1)))  # batches per block
    ends = (0, *accumulate(sizes))
    bounds = [*range(0, len(sizes), n), len(sizes)]
    for first, last in pairwise(bounds):
        yield ends[first], ends[last], list(sizes[first:last])
