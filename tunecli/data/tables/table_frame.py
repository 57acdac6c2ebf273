"""The rows of a study's table files, one below the other, and what only the files tell of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.cell_values import is_text
from tunecli.data.columns.column_kinds import are_inexact
from tunecli.data.tables.table_files import Table, read_table
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.text.suggestions import listed


@dataclass(frozen=True)
class Frame:
    """The rows of all files, one below the other.

    Attributes:
        parts: (setting, file, number of rows) of each.
        is_typed: all files say which columns are text.
        trimmed: columns with white space around some cells, which is gone.
        index: columns that a data frame had as its index.
        zero_padded: columns of numbers such as 01234.
    """

    rows: pd.DataFrame
    parts: Sequence[tuple[str, str, int]]
    is_typed: bool
    trimmed: Sequence[str]
    index: Sequence[str]
    zero_padded: Sequence[str]

    def where(self, row: int) -> str:
        """A row for messages, counted from 1 below the header."""
        for _, name, n_rows in self.parts:
            if row < n_rows:
                return f"row {row + 1} of {name}"
            row -= n_rows
        raise IndexError(row)

    def rows_of(self, setting: str) -> NDArray[np.int64] | None:
        """Rows of the file that a setting names; None if it names none."""
        start = 0
        for name, _, n_rows in self.parts:
            if name == setting:
                return np.arange(start, start + n_rows)
            start += n_rows
        return None


def paths_of(settings: DataSettings, validation: ValidationSettings) -> dict[str, str]:
    """Files by the setting that names them."""
    paths = {"data.source": settings.source}
    if isinstance(settings.test, str):
        paths["data.test"] = settings.test
    if validation.file is not None:
        paths["validation.file"] = validation.file
    return paths


def frame_of(
    settings: DataSettings,
    validation: ValidationSettings,
    paths: Mapping[str, str],
    folder: Path,
) -> Frame:
    """Read all files; see `load_table`.

    Args:
        paths: as `paths_of` gives them.
        folder: that they are relative to.

    Raises:
        DataError: with file, row or column, and the way out.
    """
    named = [settings.group, validation.column, *settings.categorical]
    named += [settings.target] if settings.task != "regression" else []
    texts = {name for name in named if name is not None}
    tables = _tables(settings, paths, folder, texts)
    if (more := _unlike_their_text(tables, settings) - texts) and not all(
        table.is_typed for table in tables
    ):
        tables = _tables(settings, paths, folder, texts | more)
    parts = [
        (setting, path, len(table.rows))
        for (setting, path), table in zip(paths.items(), tables, strict=True)
    ]
    return Frame(
        rows=pd.concat([table.rows for table in tables], ignore_index=True),
        parts=parts,
        is_typed=all(table.is_typed for table in tables),
        trimmed=sorted({name for table in tables for name in table.trimmed}),
        index=sorted({name for table in tables for name in table.index}),
        zero_padded=sorted({name for table in tables for name in table.zero_padded}),
    )


def _tables(
    settings: DataSettings, paths: Mapping[str, str], folder: Path, texts: Collection[str]
) -> list[Table]:
    """All files, with these columns as they are written."""
    tables: list[Table] = []
    for setting, path in paths.items():
        try:
            table = read_table(folder / path, settings, path, texts)
        except DataError as error:
            raise DataError(error.message, setting) from None
        if tables:
            _check_alike(tables[0].rows, table.rows, setting, path, settings.source)
        tables.append(table)
    return tables


def _unlike_their_text(tables: Sequence[Table], settings: DataSettings) -> set[str]:
    """Columns that lose something as numbers: text in another file, or too large for a float."""
    found = set()
    for name in tables[0].rows.columns:
        columns = [table.rows[name] for table in tables]
        is_text_in = {is_text(column) for column in columns}
        is_huge = name not in settings.numeric and any(
            column.dtype == np.float64 and are_inexact(column.to_numpy()).any()
            for column in columns
        )
        if len(is_text_in) > 1 or is_huge:
            found.add(name)
    return found


def _check_alike(
    first: pd.DataFrame, other: pd.DataFrame, setting: str, name: str, source: str
) -> None:
    absent = [column for column in first.columns if column not in other.columns]
    extra = [column for column in other.columns if column not in first.columns]
    if absent or extra:
        lacks = f" lacks {listed(absent)}" if absent else ""
        has = f"{' and' if absent else ''} also has {listed(extra)}" if extra else ""
        way = "Give both files the same header."
        raise DataError(f"{name}{lacks}{has}, unlike {source}. {way}", setting)
