"""Rows of a user's data set that are not held in memory, but loaded batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor

from tunecli.data.rows.array_forms import Array, feature_array, target_array
from tunecli.data.rows.items import DatasetItems
from tunecli.data.rows.loader_processes import loaded
from tunecli.errors import UserCodeError

SAMPLE = 64
"""Items to read as a sample when reading all of them would take too long."""
AT_ONCE = 256
"""Items whose targets one process reads at a time."""


class LoadedRows:
    """A stand-in for the features of a data set in memory.

    Attributes:
        shape: (n_rows, n_features) or (n_rows, channels, height, width).
        dtype: int64 for whole numbers, uint8 for pictures of bytes, else float64 or float32.
        row_bytes: bytes of one row of that type.
        n_loaders: number of processes that load ahead; 0 for none.
    """

    def __init__(self, items: DatasetItems, n_loaders: int) -> None:
        """Take all items, and read the first."""
        self._items = items
        self.source = items.source
        self.n_loaders = n_loaders
        first = self._read([0], 0)
        self.shape = (len(items), *first.shape[1:])
        self.dtype = first.dtype
        self.row_bytes = first.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes that the rows would take in memory."""
        return len(self._items) * self.row_bytes

    def batches(self, rows: Tensor, sizes: Sequence[int], seed: int = 0) -> Iterator[Tensor]:
        """Return the rows in batches of `sizes`, each (size, *shape) of `dtype`, on the CPU.

        Args:
            rows: (sum of sizes,) int64.
            seed: seed of what an item draws, together with its index.

        Raises:
            UserCodeError: an item cannot be read, is not finite, or is unlike the first.
        """
        wanted = rows.tolist()
        ends = (0, *accumulate(sizes))
        requests = [wanted[start:end] for start, end in pairwise(ends)]
        yield from loaded(
            self.source, lambda some: self._read(some, seed), requests, self.n_loaders
        )

    def targets(self) -> Array:
        """Return the targets of all rows, (n_rows,): the data set's list, else read in one pass.

        The list is used only if it agrees with `SAMPLE` items: a data set may transform its
        targets when it returns an item.
        """
        known, some = self._items.known_targets, self.sample_rows()
        if known is not None and np.array_equal(known[some], np.array(self._items.targets(some))):
            return target_array(self.source, known)
        rows = [*range(self.shape[0])]
        requests = [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]
        parts = loaded(self.source, self._items.targets, requests, self.n_loaders)
        return target_array(self.source, np.array([y for part in parts for y in part]))

    def sample_rows(self) -> list[int]:
        """Return at most `SAMPLE` rows at equal distances, the first and the last included."""
        n_rows = self.shape[0]
        return [round(i) for i in np.linspace(0, n_rows - 1, min(n_rows, SAMPLE)).tolist()]

    def _read(self, rows: list[int], seed: int) -> Tensor:
        x = self._items.features(rows, seed)
        if x.dtype.kind == "f":
            bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
            if bad.any():
                index = rows[int(bad.argmax())]
                rule = "features loaded batch by batch must be finite, because gaps are not filled"
                raise UserCodeError(f"{self.source}: item {index:,}: {rule}.")
        return torch.from_numpy(feature_array(self.source, x))
