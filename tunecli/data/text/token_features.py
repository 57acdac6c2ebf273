"""Rows of tokens, which are padded batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.rows.dataset import TokenForm
from tunecli.data.text.tokens import Tokens

CPU = torch.device("cpu")


class TokenFeatures:
    """Some rows of tokens, and the other features of the same rows; see `TokenForm`."""

    def __init__(
        self,
        tokens: Tokens,
        form: TokenForm,
        table: Tensor | None = None,
        n_rows: int | None = None,
        device: torch.device = CPU,
    ) -> None:
        """Take rows of tokens.

        Args:
            table: the other features, (n, form.n_features) float32 on the CPU; None without any.
            n_rows: number of rows to take, from the first on; None for all.
        """
        self.tokens = tokens
        self.form = form
        self.are_whole = table is None
        n = len(tokens) if n_rows is None else n_rows
        self.lengths = torch.from_numpy(tokens.lengths[:n])
        self.longest = max(1, int(self.lengths.max())) if n else 1
        self.shape = (form.n_features + self.longest,)
        self.row_bytes = (8 if self.are_whole else 4) * self.shape[0]
        self._table = table
        self._device = device

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def nbytes(self) -> int:
        """Memory of the rows, in bytes."""
        return self.tokens.nbytes + (0 if self._table is None else self._table.nbytes)

    def batches(self, rows: Tensor | None, sizes: Sequence[int], _: int = 0) -> Iterator[Tensor]:
        """Return the rows in batches of `sizes`; see `Features`."""
        wanted = torch.arange(sum(sizes)) if rows is None else rows.cpu()
        for start, end in pairwise((0, *accumulate(sizes))):
            yield self._batch(wanted[start:end]).to(self._device)

    def _batch(self, rows: Tensor) -> Tensor:
        ids = torch.from_numpy(padded(self.tokens, rows.numpy(), self.form.pad))
        if self._table is None:
            return ids
        return torch.cat([self._table[rows], ids.float()], dim=1)

    def ends(self) -> tuple[Tensor, Tensor]:
        """Refuse: tokens are categories, not pixel values; see `Features`."""
        raise TypeError("rows of tokens have no range of pixels")

    def first(self, n_rows: int) -> TokenFeatures:
        """Return the first rows alone."""
        return TokenFeatures(
            self.tokens, self.form, self._table, min(n_rows, len(self)), self._device
        )

    def to(self, device: torch.device) -> TokenFeatures:
        """Return the same features, with batches on `device`."""
        return TokenFeatures(self.tokens, self.form, self._table, len(self), device)


def padded(tokens: Tokens, rows: NDArray[np.int64], pad: int) -> NDArray[np.int64]:
    """Return the tokens of some rows, (n, length of the longest one), filled with `pad`."""
    starts = tokens.ends[rows]
    lengths = tokens.ends[rows + 1] - starts
    steps = np.arange(max(1, lengths.max(initial=0)))
    is_token = steps < lengths[:, None]
    out = np.full(is_token.shape, pad, np.int64)
    out[is_token] = tokens.ids[(starts[:, None] + steps)[is_token]]
    return out
