"""Reading CSV and TSV files, compressed or not, into data frames."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd

from tunecli.data.parquet_files import refuse_twins
from tunecli.data.table_bounds import UnreadableTableError, check_bytes, check_columns
from tunecli.study_file.counts import count

SEPARATORS = (",", ";", "\t", "|")
SAMPLE = 1000
"""Rows that are looked at for what numbers do not tell."""
LONGEST_HEADER = 2**24
"""Bytes of a first line."""


def read(path: Path, missing: Sequence[str], decimal: str, texts: Collection[str]) -> pd.DataFrame:
    """All rows, without the columns that have no name.

    Args:
        missing: cells that count as missing, such as `?`.
        decimal: the decimal sign.
        texts: columns that are read as they are written, whatever they look like.

    Raises:
        UnreadableTableError: it is empty, no table, too large, or has two columns of one name.
    """
    with _clear_errors(path), _bounded(path) as file:
        return _named(_rows(path, file, missing, decimal, texts))


def zero_padded(path: Path, names: Collection[str]) -> list[str]:
    """Columns in whose first rows some numbers begin with a needless zero, as codes do.

    Args:
        names: of columns to look at.
    """
    with _opened(path) as file, _rows(path, file, (), ".", names, SAMPLE) as rows:
        first = next(rows)
    return [name for name in names if first[name].str.fullmatch(r"\s*0\d+\s*").any()]


def chunks(
    path: Path, missing: Sequence[str], decimal: str, texts: Collection[str], n_rows: int
) -> Iterator[pd.DataFrame]:
    """All rows, so many at a time; see `read`."""
    with (
        _clear_errors(path),
        _opened(path) as file,
        _rows(path, file, missing, decimal, texts, n_rows) as frames,
    ):
        for frame in frames:
            yield _named(frame)


def _rows(
    path: Path,
    file: IO[bytes],
    missing: Sequence[str],
    decimal: str,
    texts: Collection[str],
    n_rows: int | None = None,
) -> Any:
    """A data frame, or an iterator of frames of `n_rows`."""
    options: dict[str, Any] = {
        "sep": _separator(path),
        "encoding": "utf-8-sig",
        "keep_default_na": False,
        "skipinitialspace": True,
    }
    names = _header(path, options)
    return pd.read_csv(
        file,
        header=0,
        names=[name or f"\0{i}" for i, name in enumerate(names)],
        index_col=False,
        na_values=["", *missing],
        low_memory=False,
        chunksize=n_rows,
        dtype=dict.fromkeys(texts, str),
        decimal=decimal,
        **options,
    )


def _header(path: Path, options: dict[str, Any]) -> list[str]:
    with _opened(path) as file:
        header = pd.read_csv(file, header=None, nrows=1, dtype=str, **options).iloc[0]
    names = [str(cell).strip() for cell in header]
    refuse_twins(names)
    return names


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the columns that have no name."""
    named: pd.DataFrame = frame[[n for n in frame.columns if not n.startswith("\0")]]
    return named


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """Say what pandas cannot read in words that stand behind the file's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except pd.errors.EmptyDataError:
        raise UnreadableTableError("is empty.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise UnreadableTableError(_ragged(path, str(error))) from None


def _separator(path: Path) -> str:
    """That of a TSV; else the one that the first line has most of, or a comma if it has none.

    Raises:
        UnreadableTableError: the first line has too many columns.
    """
    with _opened(path) as file:
        lines = iter(lambda: file.readline(LONGEST_HEADER), b"")
        line = next((line for line in lines if line.strip()), b"")
    is_tsv = path.name.lower().endswith((".tsv", ".tsv.gz"))
    known = ("\t",) if is_tsv else SEPARATORS
    found = max(known, key=lambda separator: line.count(separator.encode()))
    check_columns(line.count(found.encode()) + 1)
    return found


def _opened(path: Path) -> IO[bytes]:
    """A file's text, unpacked."""
    is_packed = path.suffix.lower() == ".gz"
    return cast(IO[bytes], gzip.open(path)) if is_packed else path.open("rb")


def _bounded(path: Path) -> IO[bytes]:
    """A file's text, of which there may be at most as much as memory."""
    check_bytes(path.stat().st_size)
    return cast(IO[bytes], io.BufferedReader(_Bounded(_opened(path))))


class _Bounded(io.RawIOBase):
    """A file that ends with an error once more was read than fits into memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._n_read = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`.

        Raises:
            UnreadableTableError: there is more than fits into memory.
        """
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        self._n_read += len(found)
        check_bytes(self._n_read)
        return len(found)

    def close(self) -> None:
        """Close what is read from, too."""
        self._file.close()
        super().close()


def _ragged(path: Path, message: str) -> str:
    found = _first_longer(path)
    if found is None:
        return f"is not a table: {' '.join(message.split())[:200]}."
    (header, cells), (line, longer) = found
    n_columns = count(len(cells), "column")
    if line > header + 1 and len(cells) > 1:
        return f"has {n_columns}, but line {line} has {longer} cells. Quote cells with commas."
    text = ",".join(cells)[:50]
    return (
        f"has {n_columns} in line {header} ({text!r}), but line {line} has {longer} cells. The "
        f"first line must be the header: remove lines above it, or quote cells with commas."
    )


def _first_longer(path: Path) -> tuple[tuple[int, list[str]], tuple[int, int]] | None:
    """The header with its line, and the first line that has more cells with their number."""
    with _opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
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


def not_utf_8(path: Path) -> str:
    """Return the first line that is not UTF-8, in words that stand behind the file's name."""
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                return (
                    f"must be UTF-8, but byte 0x{byte:02x} in line {number} is not. "
                    "Save it as UTF-8."
                )
    return "must be UTF-8. Save it as UTF-8."
