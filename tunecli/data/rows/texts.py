"""Rows with text: the texts of a column in two arrays, and the other columns of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Texts:
    """Texts of n rows, which never change; the arrays may be mapped from a file.

    Attributes:
        content: the texts in UTF-8, one after the other, uint8.
        ends: where each text begins and the last one ends, (n + 1,) int64.
    """

    content: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, strings: Iterable[str]) -> Texts:
        """Store strings; half of a surrogate pair, which UTF-8 lacks, becomes `?`."""
        encoded = [string.encode("utf-8", "replace") for string in strings]
        ends = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(one) for one in encoded], out=ends[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, row: int) -> str:
        return self.content[self.ends[row] : self.ends[row + 1]].tobytes().decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))

    def select(self, rows: Tensor) -> Texts:
        """Return the texts of some rows, (n,) int64, in their order."""
        bounds = [(self.ends[row], self.ends[row + 1]) for row in rows.tolist()]
        ends = np.zeros(len(bounds) + 1, np.int64)
        np.cumsum([end - start for start, end in bounds], out=ends[1:])
        parts = [self.content[start:end] for start, end in bounds]
        return Texts(np.concatenate([self.content[:0], *parts]), ends)

    @property
    def nbytes(self) -> int:
        """Memory of the texts, in bytes."""
        return self.content.nbytes + self.ends.nbytes


@dataclass(frozen=True)
class TextRows:
    """Rows of text columns, and of any columns of numbers and categories next to them.

    It is used like a tensor of rows: it has a length, a shape and a type, and is cut into parts.

    Attributes:
        table: the other columns as they are read, (n, n_columns) float64; n_columns may be 0.
        texts: the text columns.
    """

    table: Tensor
    texts: tuple[Texts, ...]

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, wanted: Tensor | slice) -> TextRows:
        rows = torch.arange(len(self))[wanted] if isinstance(wanted, slice) else wanted
        return TextRows(self.table[rows], tuple(texts.select(rows) for texts in self.texts))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and number of columns of both kinds."""
        return len(self), self.table.shape[1] + len(self.texts)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the other columns."""
        return self.table.dtype

    @property
    def nbytes(self) -> int:
        """Memory of the rows, in bytes."""
        return self.table.nbytes + sum(texts.nbytes for texts in self.texts)

    def split(self, n_rows: int) -> Sequence[TextRows]:
        """Cut into parts of at most `n_rows` rows; see `Tensor.split`."""
        return [self[start : start + n_rows] for start in range(0, len(self), n_rows)]

    def joined(self) -> Iterator[str]:
        """Yield the text of each row: that of its columns, each on a line of its own."""
        return map("\n".join, zip(*self.texts, strict=True))
