"""The training rows of a fold in batches, epoch after epoch.

The rows are tensors already, so a batch is a slice of the epoch's rows in their new order. They
are gathered in blocks of a few megabytes: one gather a batch costs time with small models, and one
gather an epoch costs memory with large data.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Literal

import torch
from torch import Tensor

BLOCK_BYTES = 8 * 2**20
"""Features gathered at once; a block holds at least one batch."""

Batch = tuple[Tensor, Tensor]
"""Features (n, *shape) and targets (n,)."""


def batch_sizes(n_rows: int, batch_size: int | Literal["full"]) -> tuple[int, ...]:
    """Rows of each batch of an epoch.

    A last batch of one row joins the one before: batch norm refuses it, and its gradient is noise.
    """
    size = n_rows if batch_size == "full" else min(batch_size, n_rows)
    sizes = [size] * (n_rows // size)
    if n_rows % size == 1:
        sizes[-1] += 1
    elif n_rows % size:
        sizes.append(n_rows % size)
    return tuple(sizes)


class Batches:
    """An endless walk over the rows that can be left and taken up again between any two batches.

    Attributes:
        sizes: rows of each batch of an epoch.
        position: batches of the epoch that have been given out.
    """

    def __init__(
        self, x: Tensor, y: Tensor, batch_size: int | Literal["full"], shuffle: bool
    ) -> None:
        """Walk over `x` (n_rows, *shape) and `y` (n_rows,).

        Args:
            batch_size: rows a batch, or all of them.
            shuffle: a new order each epoch, drawn from torch's generator; without meaning where
                one batch holds all rows.
        """
        self.sizes = batch_sizes(len(x), batch_size)
        self.position = len(self.sizes)
        self._x, self._y = x, y
        self._ends = (0, *accumulate(self.sizes))
        self._shuffle = shuffle and len(self.sizes) > 1
        self._order: Tensor | None = None
        row_bytes = max(1, x.element_size() * x[0].numel())
        self._block = max(1, BLOCK_BYTES // (row_bytes * self.sizes[0]))  # in batches

    @property
    def epoch_is_over(self) -> bool:
        """Whether `begin_epoch` must come before the next batch; true at the start."""
        return self.position == len(self.sizes)

    def begin_epoch(self) -> None:
        """Go back to the first batch, in a new order."""
        self.position = 0
        if self._shuffle:
            self._order = torch.randperm(len(self._x)).to(self._x.device)

    def rest_of_epoch(self) -> Iterator[Batch]:
        """The batches from `position` on; `position` follows."""
        while not self.epoch_is_over:
            first, last = self.position, min(self.position + self._block, len(self.sizes))
            x, y = self._rows(self._ends[first], self._ends[last])
            sizes = list(self.sizes[first:last])
            for batch in zip(torch.split(x, sizes), torch.split(y, sizes), strict=True):
                self.position += 1
                yield batch

    def _rows(self, start: int, end: int) -> Batch:
        if self._order is None:
            return self._x[start:end], self._y[start:end]
        rows = self._order[start:end]
        return self._x.index_select(0, rows), self._y.index_select(0, rows)

    def state_dict(self) -> dict[str, Any]:
        """Position and order of the epoch under way."""
        return {"position": self.position, "order": self._order}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the walk where `state_dict` was called."""
        self.position = state["position"]
        order = state["order"]
        self._order = None if order is None else order.to(self._x.device)
