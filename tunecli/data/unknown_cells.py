"""Columns of categories of which a model knows no cell: a sign that they are written otherwise."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tunecli.data.cell_values import Floats
from tunecli.data.dataset import Column
from tunecli.errors import DataWarning
from tunecli.study_file.counts import count
from tunecli.study_file.suggestions import listed

_SHOWN = 3
"""Categories of a model that are shown of each column."""


@dataclass
class UnknownCells:
    """What was seen of new rows, block by block.

    Attributes:
        name: of the table, for messages.
        n_cells: not missing, of each column of which none is known so far; 0 where one is.
        examples: the first cell of each of them.
    """

    name: str
    n_cells: dict[str, int] = field(default_factory=dict)
    examples: dict[str, object] = field(default_factory=dict)

    def look_at(self, column: Column, series: pd.Series, codes: Floats) -> None:
        """Count the cells of a column, whose codes are as `codes_in` gives them."""
        there = ~np.isnan(codes)
        if not there.any() or self.n_cells.get(column.name) == 0:
            return
        if (codes[there] < len(column.categories)).any():
            self.n_cells[column.name] = 0
        else:
            self.n_cells[column.name] = self.n_cells.get(column.name, 0) + int(there.sum())
            self.examples.setdefault(column.name, series[there].iloc[0])

    def warn(self, columns: Sequence[Column]) -> None:
        """Warn of each column of which no cell is known, when all rows were looked at."""
        for column in columns:
            if n := self.n_cells.get(column.name, 0):
                message = (
                    f"Column {column.name!r} of {self.name} has {count(n, 'cell')}, such as "
                    f"{_shown(self.examples[column.name])}, and the model knows none of them. It "
                    f"knows {listed(column.categories, most=_SHOWN)}. Write cells as in the "
                    "training data; unknown ones are treated as rare ones."
                )
                warnings.warn(message, DataWarning, stacklevel=2)


def _shown(cell: object) -> str:
    return repr(cell[:50]) if isinstance(cell, str) else f"{str(cell)[:50]} (not text)"
