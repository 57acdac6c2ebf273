"""Read rows of a table without a target, in the columns and types of a fitted model."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tunecli.data.columns.cell_values import Floats, is_nested
from tunecli.data.columns.column_cells import AS_IS, Reading
from tunecli.data.columns.column_kinds import KINDS
from tunecli.data.columns.text_cells import texts_of
from tunecli.data.rows.dataset import Column, positions_by_source
from tunecli.data.rows.texts import Texts
from tunecli.data.tables.table_files import table_chunks
from tunecli.errors import DataError, DataWarning
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import did_you_mean, listed

_SHOWN = 3
"""Categories of a model that are shown of each column."""


def table_blocks(
    path: Path, columns: Sequence[Column], data: DataSettings, n_rows: int
) -> Iterator[Floats]:
    """Read a file's rows by `model_cells`, `n_rows` at a time; see `kept_table_blocks`."""
    return (block.cells for block in kept_table_blocks(path, columns, data, n_rows))


class TableBlock(NamedTuple):
    """Consecutive rows of a table.

    Attributes:
        cells: the cells of the model's columns; see `model_cells`.
        texts: the model's columns of text.
        kept: the kept columns.
    """

    cells: Floats
    texts: tuple[Texts, ...]
    kept: pd.DataFrame


def kept_table_blocks(
    path: Path,
    columns: Sequence[Column],
    data: DataSettings,
    n_rows: int,
    keep: Sequence[str] = (),
    texts: Sequence[str] = (),
) -> Iterator[TableBlock]:
    """Read a file's rows, `n_rows` at a time; it may be larger than memory.

    Args:
        data: the settings with which the model's data was read.
        keep: columns that are returned as they are written. Numbers that the model uses are
            returned as numbers.
        texts: the model's columns of text.

    Raises:
        DataError: a row cannot be used, or a column is missing; with the place and a remedy.
    """
    as_text = {column.name for column in columns if column.kind == "categorical"}
    unused = {*keep} - {column.source for column in columns}
    rows = _NewRows(path.name, columns, Reading.of(data), texts)
    for frame in table_chunks(path, data, path.name, {*as_text, *unused, *texts}, n_rows):
        rows.refuse_absent(keep, map(str, frame.columns), "--keep: ")
        yield TableBlock(rows.cells(frame), rows.texts_in(frame), frame[[*keep]])
    rows.warn()


def model_cells(
    frame: pd.DataFrame, columns: Sequence[Column], name: str, reading: Reading = AS_IS
) -> Floats:
    """Return the cells of a model's columns, (n_rows, n_columns), without other columns.

    NaN is missing. Categories are codes; an unknown category gets the number of categories. A
    DataWarning names the columns in which every category is unknown.

    Args:
        name: the name of the table in messages.
        reading: how its numbers and dates are written.

    Raises:
        DataError: a column is missing, or a column of numbers has texts.
    """
    rows = _NewRows(name, columns, reading)
    cells = rows.cells(frame)
    rows.warn()
    return cells


def model_texts(frame: pd.DataFrame, texts: Sequence[str], name: str) -> tuple[Texts, ...]:
    """Return a model's columns of text; a missing cell is an empty text.

    Raises:
        DataError: a column is missing.
    """
    return _NewRows(name, (), AS_IS, texts).texts_in(frame)


@dataclass
class _NewRows:
    """The rows of a table, block by block, with what was seen of them.

    Categories of which a model knows no cell are a sign that they are written otherwise.

    Attributes:
        name: of the table, for messages.
        texts: the columns of text.
        n_rows: rows read so far.
        n_cells: not missing, of each column of which none is known so far; 0 where one is.
        examples: the first cell of each of them.
    """

    name: str
    columns: Sequence[Column]
    reading: Reading
    texts: Sequence[str] = ()
    n_rows: int = 0
    n_cells: dict[str, int] = field(default_factory=dict)
    examples: dict[str, object] = field(default_factory=dict)

    def where(self, row: int) -> str:
        """Name a row of the present block."""
        return f"row {self.n_rows + row + 1} of {self.name}"

    def cells(self, frame: pd.DataFrame) -> Floats:
        """Return the cells of the next block."""
        places = positions_by_source(self.columns)
        present = {str(given): given for given in frame.columns}
        self._check_names(Counter(map(str, frame.columns)), places)
        cells = np.empty((len(frame), len(self.columns)))
        for source, positions in places.items():
            series, own = frame[present[source]], [self.columns[i] for i in positions]
            if is_nested(series):
                message = f"column {source!r} of {self.name} has a list or mapping in each cell"
                raise DataError(f"{message}. Give it one number or text per row.")
            read = KINDS[own[0].content].read_new(series, own, self.where, self.reading)
            for position, values in zip(positions, read, strict=True):
                cells[:, position] = values
            self.look_at(own[0], series, cells[:, positions[0]])
        self.n_rows += len(frame)
        return cells

    def texts_in(self, frame: pd.DataFrame) -> tuple[Texts, ...]:
        """Return the columns of text of a block."""
        present = {str(given): given for given in frame.columns}
        self._check_names(Counter(map(str, frame.columns)), self.texts)
        return tuple(texts_of(frame[present[name]]) for name in self.texts)

    def refuse_absent(self, wanted: Collection[str], names: Iterable[str], why: str = "") -> None:
        """Refuse a table without the wanted columns.

        Args:
            names: the columns of the table.
            why: what wants them, in front of the message.

        Raises:
            DataError: a column is missing.
        """
        there = [*dict.fromkeys(names)]
        if absent := [name for name in wanted if name not in there]:
            what = "column" if len(absent) == 1 else "columns"
            hint = did_you_mean(absent[0], there) or f" There are {listed(there, most=30)}."
            raise DataError(f"{why}{self.name} lacks the {what} {listed(absent, most=10)}.{hint}")

    def _check_names(self, names: Counter[str], wanted: Collection[str]) -> None:
        self.refuse_absent(wanted, names)
        used = [*(column.name for column in self.columns), *self.texts]
        twins = [name for name in used if names[name] > 1]
        if twins:
            name = f"several columns named {twins[0]!r}"
            raise DataError(f"{self.name} has {name}. Give each its own name.")

    def look_at(self, column: Column, series: pd.Series, codes: Floats) -> None:
        """Count the cells of a column of categories."""
        there = ~np.isnan(codes) & bool(column.categories)
        if not there.any() or self.n_cells.get(column.name) == 0:
            return
        if (codes[there] < len(column.categories)).any():
            self.n_cells[column.name] = 0
        else:
            self.n_cells[column.name] = self.n_cells.get(column.name, 0) + int(there.sum())
            self.examples.setdefault(column.name, series[there].iloc[0])

    def warn(self) -> None:
        """Warn of each column of which no cell is known, when all rows were looked at."""
        for column in self.columns:
            if n := self.n_cells.get(column.name, 0):
                message = (
                    f"The model knows none of the {count(n, 'cell')} in column {column.name!r} of "
                    f"{self.name}, such as {_shown(self.examples[column.name])}. It knows "
                    f"{listed(column.categories, most=_SHOWN)}. Write cells as in the training "
                    "data; unknown categories are treated as rare ones."
                )
                warnings.warn(message, DataWarning, stacklevel=2)


def _shown(cell: object) -> str:
    return repr(cell[:50]) if isinstance(cell, str) else f"{str(cell)[:50]} (not text)"
