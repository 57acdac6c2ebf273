"""Cut documents into blocks of tokens, each with the tokens that follow, to train language models.

A document is tokens between two boundary tokens, so that a model learns how it begins and where it
ends. Each document begins a new block: no block has tokens of two documents. The last block of a
document is filled up with padding, which has no loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]

NO_LOSS = -100
"""The target of a position that does not count, as in torch's CrossEntropyLoss."""

PADDING = 0


@dataclass(frozen=True)
class TokenRun:
    """Consecutive tokens of one document.

    Attributes:
        ids: the tokens, (n,).
        n_bytes: for each token, the bytes of UTF-8 from the end of the token before it to its own
            end, (n,); so the sum is that of the text.
        n_given: number of tokens of the prompt, which a model is not trained to predict.
        row: the document's row in the data set.
        is_whole: whether the document begins and ends here, so that it has boundaries.
    """

    ids: Ints
    n_bytes: Ints
    row: int
    n_given: int = 0
    is_whole: bool = True


@dataclass(frozen=True)
class TokenBlocks:
    """Blocks of tokens, and their next tokens.

    Attributes:
        x: (n, block_size) int32, with padding behind the end of a document.
        y: (n, block_size) int32, the next token of each; `NO_LOSS` where it does not count. Each
            block has at least one target that counts.
        n_bytes: (n,) int64, bytes of the text of the targets that count.
        rows: (n,) int64, the row of each block's document in the data set, ascending per document.
    """

    x: Tensor
    y: Tensor
    n_bytes: Tensor
    rows: Tensor

    @property
    def lengths(self) -> Tensor:
        """Number of tokens of each block up to its last target that counts, (n,) int64."""
        places = torch.arange(1, self.y.shape[1] + 1)
        return (places * (self.y != NO_LOSS)).amax(1)

    @property
    def n_targets(self) -> int:
        """Number of targets that count."""
        return int((self.y != NO_LOSS).sum())


def token_blocks(runs: Iterable[TokenRun], block_size: int, boundary: int) -> TokenBlocks:
    """Return the blocks of documents, in order; documents without tokens have none.

    Args:
        block_size: tokens per block.
        boundary: the token before the first and after the last token of a document.
    """
    parts = [part for run in runs for part in _blocks_of(run, block_size, boundary)]
    none, empty = np.empty(0, np.int64), np.empty((0, block_size), np.int32)
    columns = zip((empty, empty, none, none), *parts, strict=True)
    x, y, n_bytes, rows = (torch.from_numpy(np.concatenate(column)) for column in columns)
    return TokenBlocks(x, y, n_bytes, rows)


def _blocks_of(
    run: TokenRun, block_size: int, boundary: int
) -> Iterator[tuple[Ints, Ints, Ints, Ints]]:
    """Yield inputs, targets, bytes and rows of a document's blocks that have a target."""
    if not len(run.ids):
        return
    ends = (1, 1) if run.is_whole else (0, 0)
    stream = np.pad(run.ids, ends, constant_values=boundary)
    n_bytes = np.pad(run.n_bytes, ends)[1:]
    inputs, targets = stream[:-1], stream[1:].copy()
    targets[: max(0, run.n_given - 1 + ends[0])] = NO_LOSS
    n_bytes = np.where(targets == NO_LOSS, 0, n_bytes)
    x, y, sizes = (
        _rows(values, block_size, fill)
        for values, fill in ((inputs, PADDING), (targets, NO_LOSS), (n_bytes, 0))
    )
    counts = (y != NO_LOSS).any(axis=1)
    x, y = x.astype(np.int32), y.astype(np.int32)
    yield x[counts], y[counts], sizes[counts].sum(1), np.full(counts.sum(), run.row, np.int64)


def _rows(values: Ints, block_size: int, fill: int) -> Ints:
    """Return values as rows of one block each, the last row filled up."""
    missing = -len(values) % block_size
    return np.pad(values, (0, missing), constant_values=fill).reshape(-1, block_size)


def token_bytes(text: str, ends: Ints) -> Ints:
    """Return the number of UTF-8 bytes of each token, with those skipped before it.

    Args:
        ends: the end of each token, in characters of the text, ascending.
    """
    if text.isascii():
        return np.diff(ends, prepend=0)
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    sizes = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000).astype(np.int64)
    totals = np.concatenate([[0], np.cumsum(sizes)])
    return np.diff(totals[ends], prepend=0)
