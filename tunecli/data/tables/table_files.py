"""Read table files, one or all of a study, into data frames: CSV, TSV and Parquet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.cell_values import are_inexact, as_numbers, is_nested, is_text
from tunecli.data.columns.column_cells import Given, Reading
from tunecli.data.tables import csv_files, jsonl_files, parquet_files
from tunecli.data.tables.table_bounds import UnreadableTableError
from tunecli.data.tables.text_files import not_utf_8
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.text.suggestions import listed


@dataclass(frozen=True)
class Table:
    """All rows of a file.

    Attributes:
        is_typed: whether the file marks which columns are text, as Parquet does.
        trimmed: columns with white space around some cells, which was removed.
        index: columns that were a data frame's index.
        zero_padded: columns of numbers such as 01234.
    """

    rows: pd.DataFrame
    is_typed: bool
    trimmed: Sequence[str] = ()
    index: Sequence[str] = ()
    zero_padded: Sequence[str] = ()


def read_table(path: Path, data: DataSettings, name: str, texts: Collection[str]) -> Table:
    """Read all rows of a table; only empty cells and those in `missing` are missing.

    Columns without a name, such as saved row numbers, are left out.

    Args:
        data: the settings; `missing` and `decimal` are read.
        name: the name of the file in messages.
        texts: columns to read as text, whatever they look like; files that store types ignore it.

    Raises:
        DataError: it cannot be read, has no rows, or has two columns with one name.
    """
    form = form_of(path)
    with _named_errors(path, name):
        rows, index = form.read(path, data, texts)
    if len(rows) == 0:
        raise DataError(f"{name} has a header but no rows.", "data.source")
    rows.columns = rows.columns.astype(object)  # thousands of names are looked up one by one
    rows, trimmed = tidied(rows, data.missing, every_column=form.is_typed)
    whole = [name for name in rows.columns if pd.api.types.is_integer_dtype(rows[name].dtype)]
    padded = csv_files.zero_padded(path, whole) if whole and not form.is_typed else ()
    return Table(rows, form.is_typed, trimmed, index, padded)


def table_chunks(
    path: Path, data: DataSettings, name: str, texts: Collection[str], n_rows: int
) -> Iterator[pd.DataFrame]:
    """Read all rows of a table, `n_rows` at a time, so that it may be larger than memory.

    Args:
        data, texts: see `read_table`.

    Raises:
        DataError: see `read_table`; without a setting, since no study names the table.
    """
    n_read, form = 0, form_of(path)
    try:
        with _named_errors(path, name):
            for rows in form.chunks(path, data, texts, n_rows):
                n_read += len(rows)
                if len(rows):
                    yield tidied(rows, data.missing, every_column=form.is_typed)[0]
    except DataError as error:
        raise DataError(error.message) from None
    if not n_read:
        raise DataError(f"{name} has a header but no rows.")


@dataclass(frozen=True)
class TableForm:
    """A kind of table file.

    Attributes:
        is_typed: whether it marks which columns are text.
        read: returns all rows, and the columns that were a data frame's index; see `read_table`.
        chunks: returns all rows, a number of them at a time; see `table_chunks`.
    """

    is_typed: bool
    read: Callable[[Path, DataSettings, Collection[str]], tuple[pd.DataFrame, Sequence[str]]]
    chunks: Callable[[Path, DataSettings, Collection[str], int], Iterator[pd.DataFrame]]


_JSON_LINES = TableForm(
    is_typed=True,
    read=lambda path, *_: (jsonl_files.jsonl_rows(path), ()),
    chunks=lambda path, _, __, n_rows: jsonl_files.jsonl_chunks(path, n_rows),
)
_FORMS = {
    ".parquet": TableForm(
        is_typed=True,
        read=lambda path, *_: parquet_files.read(path),
        chunks=lambda path, _, __, n_rows: parquet_files.chunks(path, n_rows),
    ),
    ".jsonl": _JSON_LINES,
    ".jsonl.gz": _JSON_LINES,
}
_CSV = TableForm(
    is_typed=False,
    read=lambda path, data, texts: (csv_files.read(path, data, texts), ()),
    chunks=csv_files.chunks,
)


def form_of(path: Path) -> TableForm:
    """Return the kind of a table file, by its name."""
    name = path.name.lower()
    return next((form for end, form in _FORMS.items() if name.endswith(end)), _CSV)


@contextmanager
def _named_errors(path: Path, name: str) -> Iterator[None]:
    """Turn errors into a message that begins with the file's name."""
    try:
        yield
    except UnreadableTableError as error:
        raise DataError(f"{name} {error}", "data.source") from None
    except UnicodeDecodeError:
        raise DataError(f"{name} {not_utf_8(path)}", "data.source") from None
    except MemoryError:
        raise DataError(f"{name} does not fit into memory.", "data.source") from None
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{name} cannot be read: {reason}.", "data.source") from None


def tidied(
    rows: pd.DataFrame, missing: Sequence[str], *, every_column: bool
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Remove white space around texts, and texts that count as missing.

    If several columns of a data frame have one name, they are not changed.

    Args:
        every_column: whether `missing` applies to columns of other types, too.

    Returns:
        The rows, and the names of the columns that had white space.
    """
    changed: dict[str, pd.Series] = {}
    trimmed: list[str] = []
    for name in rows.columns[~rows.columns.duplicated(keep=False)]:
        column = rows[name]
        if is_text(column):
            cells = column.str.strip()
            trimmed += [name] if (cells != column)[column.notna()].any() else []
            gone = cells.isin(_spellings(missing))
            if gone.any() or trimmed[-1:] == [name]:
                changed[name] = cells.mask(gone)
        elif every_column and missing:
            changed[name] = column.mask(_are_missing(column, missing))
    rows = rows.copy(deep=False) if changed else rows
    for name, column in changed.items():
        rows[name] = column
    return rows, tuple(trimmed)


def _spellings(missing: Sequence[str]) -> list[str]:
    """Return all texts that are missing: the empty one, the words, and numbers also with `.0`."""
    whole = [word.removesuffix(".0") for word in missing]
    return ["", *missing, *whole, *(f"{word}.0" for word in whole if word.lstrip("-").isdecimal())]


def _are_missing(series: pd.Series, missing: Sequence[str]) -> pd.Series:
    """Return which cells that are not text equal a missing word; numbers by their value."""
    are_missing = series.astype(str).isin(missing)
    wanted = pd.to_numeric(pd.Series(missing), errors="coerce").dropna().to_numpy(np.float64)
    is_number = not (
        is_nested(series)
        or pd.api.types.is_datetime64_any_dtype(series.dtype)
        or pd.api.types.is_timedelta64_dtype(series.dtype)
        or pd.api.types.infer_dtype(series) == "boolean"
    )
    if is_number:
        numbers, _ = as_numbers(series)
        single = wanted.astype(np.float32) if series.dtype == np.float32 else wanted
        are_missing |= np.isin(numbers, single.astype(np.float64))
    return are_missing


@dataclass(frozen=True, kw_only=True)
class Frame(Table):
    """The rows of all files of a study, one below the other; facts are of any of the files.

    Attributes:
        is_typed: whether all files mark which columns are text.
        settings, validation: how they are read.
        parts: (setting, file, number of rows) of each file.
    """

    settings: DataSettings
    validation: ValidationSettings
    parts: Sequence[tuple[str, str, int]]

    @property
    def reading(self) -> Reading:
        """The way to read the cells."""
        return Reading.of(self.settings, self.is_typed)

    def given(self, name: str) -> Given:
        """Return the kind of a column that the user names."""
        if name in self.settings.categorical:
            return "categorical"
        if name in self.settings.text:
            return "text"
        return "numeric" if name in self.settings.numeric else ""

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


def frame_of(settings: DataSettings, validation: ValidationSettings, folder: Path) -> Frame:
    """Read all files; see `load_table`.

    Args:
        folder: the folder to which they are relative.

    Raises:
        DataError: a file cannot be used; with the place and a remedy.
    """
    named = [settings.group, validation.column, *settings.categorical, *settings.text]
    named += [settings.prompt, settings.completion]
    named += [settings.target] if settings.task != "regression" else []
    texts = {name for name in named if name is not None}
    paths = paths_of(settings, validation)
    tables = _tables(settings, paths, folder, texts)
    are_typed = all(table.is_typed for table in tables)
    if (more := _unlike_their_text(tables, settings) - texts) and not are_typed:
        tables = _tables(settings, paths, folder, texts | more)
    files = zip(paths.items(), tables, strict=True)
    return Frame(
        rows=pd.concat([table.rows for table in tables], ignore_index=True),
        is_typed=are_typed,
        trimmed=sorted({name for table in tables for name in table.trimmed}),
        index=sorted({name for table in tables for name in table.index}),
        zero_padded=sorted({name for table in tables for name in table.zero_padded}),
        settings=settings,
        validation=validation,
        parts=[(setting, path, len(table.rows)) for (setting, path), table in files],
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
