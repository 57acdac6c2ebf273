"""What was seen of the rows of a prediction: how many, and which cells a model does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from tunecli.data.rows.dataset import Column, positions_by_source
from tunecli.data.rows.texts import TextRows
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import listed

_MOST = 10  # columns that a line lists


@dataclass
class PredictedRows:
    """The rows of a prediction, block by block.

    Attributes:
        columns: the columns of the model; empty for pictures.
        n_rows: rows so far.
        n_unseen: rows with a category that training did not have; `unseen` counts them by column.
        n_missing: rows with a missing cell; `missing` counts them by column.
        names: the columns of the predictions.
    """

    columns: Sequence[Column]
    n_rows: int = 0
    n_unseen: int = 0
    n_missing: int = 0
    unseen: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    names: Sequence[str] = ()

    def add(self, x: Tensor | TextRows) -> None:
        """Count the cells of the next rows as they are read, (n, *row_shape)."""
        self.n_rows += len(x)
        if not self.columns:
            return
        table = x.table if isinstance(x, TextRows) else x
        places = [own[0] for own in positions_by_source(self.columns).values()]
        cells = table[:, places].double()
        sizes = [len(self.columns[place].categories) for place in places]
        is_unseen = (cells == torch.tensor(sizes)) & (torch.tensor(sizes) > 0)
        self.n_unseen += _count(is_unseen, self.unseen, [self.columns[i].source for i in places])
        is_gap = cells.isnan()
        self.n_missing += _count(is_gap, self.missing, [self.columns[i].source for i in places])

    def lines(self, path: Path | None) -> Iterator[str]:
        """Yield what was written where, and the rows with cells that need a remark.

        Args:
            path: the file; None for stdout.
        """
        columns = (
            f"{'column' if len(self.names) == 1 else 'columns'} {listed(self.names, most=_MOST)}"
        )
        yield f"{path or 'stdout'}: {count(self.n_rows, 'row')}, {columns}"
        if self.n_unseen:
            what = "has a category" if self.n_unseen == 1 else "have categories"
            yield (
                f"{count(self.n_unseen, 'row')} {what} that training did not have, treated as "
                f"rare: {_most_first(self.unseen)}"
            )
        if self.n_missing:
            what = "has a missing cell" if self.n_missing == 1 else "have missing cells"
            yield (
                f"{count(self.n_missing, 'row')} {what}, treated as in training: "
                f"{_most_first(self.missing)}"
            )


def _count(cells: Tensor, by_column: Counter[str], names: Sequence[str]) -> int:
    """Add the marked cells, (n, n_columns), to those of each column; return the marked rows."""
    by_column.update(dict(zip(names, cells.sum(0).tolist(), strict=True)))
    return int(cells.any(1).sum())


def _most_first(by_column: Counter[str]) -> str:
    """Return the columns with their numbers of rows, most first: `city (12), plan (3)`."""
    found = [f"{name} ({n:,})" for name, n in by_column.most_common() if n]
    return ", ".join(found[:_MOST]) + (f" and {len(found) - _MOST} more" if found[_MOST:] else "")
