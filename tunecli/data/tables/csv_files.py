"""Read CSV and TSV files, compressed or not, into data frames."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pandas as pd

from tunecli.data.tables.parquet_files import refuse_twins
from tunecli.data.tables.table_bounds import UnreadableTableError, check_columns
from tunecli.data.tables.text_files import BoundedText, opened_text
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.text.counts import count

SEPARATORS = (",", ";", "\t", "|")
SAMPLE = 1000
"""First rows in which to look for needless zeros."""
LONGEST_HEADER = 2**24
"""Largest size of a first line, in bytes."""


def read(path: Path, data: DataSettings, texts: Collection[str]) -> pd.DataFrame:
    """Read all rows, without the columns that have no name.

    Args:
        data: the settings; `missing` and `decimal` are read.
        texts: columns to read as text, whatever they look like.

    Raises:
        UnreadableTableError: it is empty, not a table, too large, or two columns have one name.
    """
    with _clear_errors(path), io.BufferedReader(BoundedText(path)) as file:
        return _named(_rows(path, file, texts, data))


def zero_padded(path: Path, names: Collection[str]) -> list[str]:
    """Return the columns in whose first rows some numbers begin with a needless zero, as codes do.

    Args:
        names: the columns to look at.
    """
    with opened_text(path) as file, _rows(path, file, names, n_rows=SAMPLE) as rows:
        first = next(rows)
    return [name for name in names if first[name].str.fullmatch(r"\s*0\d+\s*").any()]


def chunks(
    path: Path, data: DataSettings, texts: Collection[str], n_rows: int
) -> Iterator[pd.DataFrame]:
    """Read all rows, `n_rows` at a time; see `read`."""
    with (
        _clear_errors(path),
        opened_text(path) as file,
        _rows(path, file, texts, data, n_rows) as frames,
    ):
        yield from map(_named, frames)


def _rows(
    path: Path,
    file: IO[bytes],
    texts: Collection[str],
    data: DataSettings | None = None,
    n_rows: int | None = None,
) -> Any:
    """Return a data frame, or an iterator of frames of `n_rows`."""
    options: dict[str, Any] = {
        "sep": _separator(path),
        "encoding": "utf-8-sig",
        "keep_default_na": False,
        "skipinitialspace": True,
    }
    with opened_text(path) as again:
        header = pd.read_csv(again, header=None, nrows=1, dtype=str, **options).iloc[0]
    names = [str(cell).strip() for cell in header]
    refuse_twins(names)
    return pd.read_csv(
        file,
        header=0,
        names=[name or f"\0{i}" for i, name in enumerate(names)],
        index_col=False,
        na_values=["", *(data.missing if data else ())],
        low_memory=False,
        chunksize=n_rows,
        dtype=dict.fromkeys(texts, str),
        decimal=data.decimal if data else ".",
        **options,
    )


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Remove the columns that have no name."""
    named: pd.DataFrame = frame[[n for n in frame.columns if not n.startswith("\0")]]
    return named


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """Turn errors of pandas into a reason that can follow the file's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except pd.errors.EmptyDataError:
        raise UnreadableTableError("is empty.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise UnreadableTableError(_ragged(path, str(error))) from None


def _separator(path: Path) -> str:
    """Return a tab for a TSV; else the most frequent separator of the first line, or a comma.

    Raises:
        UnreadableTableError: the first line has too many columns.
    """
    with opened_text(path) as file:
        lines = iter(lambda: file.readline(LONGEST_HEADER), b"")
        line = next((line for line in lines if line.strip()), b"")
    is_tsv = path.name.lower().endswith((".tsv", ".tsv.gz"))
    known = ("\t",) if is_tsv else SEPARATORS
    separator = max(known, key=lambda candidate: line.count(candidate.encode()))
    check_columns(line.count(separator.encode()) + 1)
    return separator


def _ragged(path: Path, message: str) -> str:
    lines = _first_longer(path)
    if lines is None:
        return f"is not a table: {' '.join(message.split())[:200]}."
    (header, cells), (line, longer) = lines
    n_columns = count(len(cells), "column")
    if line > header + 1 and len(cells) > 1:
        way = "Quote cells that contain commas."
        return f"has {n_columns}, but line {line} has {longer} cells. {way}"
    text = ",".join(cells)[:50]
    return (
        f"has {n_columns} in line {header} ({text!r}), but line {line} has {longer} cells. The "
        "first line must be the header: remove lines above it, or quote cells that contain commas."
    )


def _first_longer(path: Path) -> tuple[tuple[int, list[str]], tuple[int, int]] | None:
    """Return the header with its line, and the first longer line with its number of cells."""
    with opened_text(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        rows = csv.reader(text, delimiter=_separator(path), skipinitialspace=True)
        header: tuple[int, list[str]] | None = None
        try:
            for row in filter(None, rows):
                if header is None:
                    header = rows.line_num, row
                elif len(row) > len(header[1]):
                    return header, (rows.line_num, len(row))
        except csv.Error:
            pass
    return None
