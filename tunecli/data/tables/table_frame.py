"""The rows of all table files of a study, one below the other, with facts about the files."""

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
    """The rows of all files of a study, one below the other.

    Attributes:
        parts: (setting, file, number of rows) of each file.
        is_typed: whether all files mark which columns are text.
        trimmed: columns with white space around some cells, which was removed.
        index: columns that were a data frame's index.
        zero_padded: columns of numbers such as 01234.
    """

    rows: pd.DataFrame
    parts: Sequence[tuple[str, str, int]]
    is_typed: bool
    trimmed: Sequence[str]
    index: Sequence[str]
    zero_padded: Sequence[str]

    def where(self, row: int) -> str:
        """Name a row for messages, counted from 1 below the header."""
        for _, name, n_rows in self.parts:
            if row < n_rows:
                return f"row {row + 1} of {name}"
            row -= n_rows
        raise IndexError(row)

    def rows_of(self, setting: str) -> NDArray[np.int64] | None:
        """Return the rows of the file that a setting names; None if it names none."""
        start = 0
        for name, _, n_rows in self.parts:
            if name == setting:
                return np.arange(start, start + n_rows)
            start += n_rows
        return None


def paths_of(settings: DataSettings, validation: ValidationSettings) -> dict[str, str]:
    """Return all files by the setting that names them."""
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
        paths: the files by setting, see `paths_of`.
        folder: the folder to which they are relative.

    Raises:
        DataError: a file cannot be used; with the place and a remedy.
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
    """Read all files, with `texts` as text."""
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
    """Return columns that lose digits as numbers: text in another file, or too large numbers."""
    names = set()
    for name in tables[0].rows.columns:
        columns = [table.rows[name] for table in tables]
        is_text_in = {is_text(column) for column in columns}
        is_huge = name not in settings.numeric and any(
            column.dtype == np.float64 and are_inexact(column.to_numpy()).any()
            for column in columns
        )
        if len(is_text_in) > 1 or is_huge:
            names.add(name)
    return names


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
