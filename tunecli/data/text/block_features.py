"""Blocks of tokens as features, cut batch by batch to the longest block of the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor


class BlockFeatures:
    """Blocks of tokens, each up to its last target that counts.

    Unlike rows of text, they all have the shape of a whole block: a model with learned positions
    needs one for each place of a block, also if the training part has no full one.
    """

    are_whole = True

    def __init__(self, x: Tensor, lengths: Tensor) -> None:
        """Take the blocks of `x`, (n, block_size) integers, with `lengths`, (n,) on the CPU."""
        self.x = x
        self.shape = (x.shape[1],)
        self.row_bytes = 8 * x.shape[1]
        self._lengths = lengths

    @property
    def lengths(self) -> Tensor | None:
        """Number of tokens of each block, (n,) int64; None if all blocks are full."""
        return None if bool((self._lengths == self.shape[0]).all()) else self._lengths

    def __len__(self) -> int:
        return len(self.x)

    @property
    def nbytes(self) -> int:
        """Memory of the blocks, in bytes."""
        return self.x.nbytes + self._lengths.nbytes

    def batches(self, rows: Tensor | None, sizes: Sequence[int], _: int = 0) -> Iterator[Tensor]:
        """Return the blocks in batches of `sizes`; see `Features`."""
        wanted = torch.arange(sum(sizes)) if rows is None else rows.cpu()
        for start, end in pairwise((0, *accumulate(sizes))):
            own = wanted[start:end]
            longest = int(self._lengths[own].max()) if len(own) else 0
            yield self.x[own.to(self.x.device), :longest].long()

    def ends(self) -> tuple[Tensor, Tensor]:
        """Refuse: tokens are categories, not pixel values; see `Features`."""
        raise TypeError("blocks of tokens have no range of pixels")

    def first(self, n_rows: int) -> BlockFeatures:
        """Return the first blocks alone."""
        return BlockFeatures(self.x[:n_rows], self._lengths[:n_rows])

    def to(self, device: torch.device) -> BlockFeatures:
        """Return the same blocks on `device`."""
        return BlockFeatures(self.x.to(device), self._lengths)
