"""Reading table files: CSV, TSV (compressed or not) and Parquet into data frames."""

from __future__ import annotations

import gzip
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from tunecli.data.cell_values import as_numbers, is_nested
from tunecli.errors import DataError
from tunecli.study_file.suggestions import listed

SEPARATORS = (",", ";", "\t", "|")


def read_table(path: Path, missing: Sequence[str], name: str) -> pd.DataFrame:
    """All rows of a table; only empty cells and those in `missing` are missing.

    Columns without a name, as a saved row number has, are left out.

    Args:
        missing: cells that count as missing, such as `?`.
        name: of the file, for messages.

    Raises:
        DataError: if it cannot be read, has no rows, or two columns of one name.
    """
    try:
        frame = _parquet(path, missing) if path.suffix == ".parquet" else _text(path, missing)
    except _UNREADABLE as error:
        raise _data_error(error, path, name) from None
    if len(frame) == 0:
        raise DataError(f"{name} has a header but no rows.", "data.source")
    return frame


class _NoTableError(Exception):
    """What is wrong with a file, to stand behind its name."""


_UNREADABLE = (_NoTableError, UnicodeDecodeError, OSError, EOFError)


def _data_error(error: Exception, path: Path, name: str) -> DataError:
    if isinstance(error, _NoTableError):
        return DataError(f"{name} {error}", "data.source")
    if isinstance(error, UnicodeDecodeError):
        return DataError(f"{name} {_not_utf_8(path)}", "data.source")
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(f"{name} cannot be read: {reason}.", "data.source")


def _parquet(path: Path, missing: Sequence[str]) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except ValueError as error:  # pyarrow's errors are ValueErrors
        raise _NoTableError(f"is no Parquet file: {_one_line(error)}") from None
    return _of_parquet(frame, missing)


def _of_parquet(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    frame.columns = [str(column) for column in frame.columns]
    _refuse_twins(list(frame.columns))
    return frame.mask(frame.apply(_is_missing, missing=list(missing))) if missing else frame


def _is_missing(series: pd.Series, missing: list[str]) -> pd.Series:
    """Which cells are written so; numbers, however they are written, as in a text file."""
    found = series.astype(str).isin(missing)
    is_number = not (
        is_nested(series)
        or pd.api.types.is_datetime64_any_dtype(series.dtype)
        or pd.api.types.infer_dtype(series) == "boolean"
    )
    if is_number:
        numbers, _ = as_numbers(series)
        wanted = pd.to_numeric(pd.Series(missing), errors="coerce").dropna().to_numpy(np.float64)
        single = wanted.astype(np.float32) if series.dtype == np.float32 else wanted
        found |= np.isin(numbers, single.astype(np.float64))
    return found


def table_chunks(
    path: Path, missing: Sequence[str], name: str, texts: Sequence[str], n_rows: int
) -> Iterator[pd.DataFrame]:
    """All rows of a table, `n_rows` at a time, so that it may be larger than memory.

    Args:
        texts: columns that are read as they are written, whatever they look like.

    Raises:
        DataError: see `read_table`; it names no setting, since the table is none of a study's.
    """
    is_parquet = path.suffix == ".parquet"
    try:
        n_found = 0
        for frame in (_parquet_chunks if is_parquet else _text_chunks)(
            path, missing, texts, n_rows
        ):
            n_found += len(frame)
            if len(frame):
                yield frame
    except _UNREADABLE as error:
        raise DataError(_data_error(error, path, name).message) from None
    if not n_found:
        raise DataError(f"{name} has a header but no rows.")


def _parquet_chunks(
    path: Path, missing: Sequence[str], texts: Sequence[str], n_rows: int
) -> Iterator[pd.DataFrame]:
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(n_rows):
            yield _of_parquet(batch.to_pandas(), missing)
    except ValueError as error:
        raise _NoTableError(f"is no Parquet file: {_one_line(error)}") from None


def _text_chunks(
    path: Path, missing: Sequence[str], texts: Sequence[str], n_rows: int
) -> Iterator[pd.DataFrame]:
    with _clear_errors(), _rows_of_text(path, missing, texts, n_rows) as chunks:
        for frame in chunks:
            yield _named(frame)


def _text(path: Path, missing: Sequence[str]) -> pd.DataFrame:
    with _clear_errors():
        return _named(_rows_of_text(path, missing))


def _rows_of_text(
    path: Path, missing: Sequence[str], texts: Sequence[str] = (), n_rows: int | None = None
) -> Any:
    """A data frame, or an iterator of frames of `n_rows`."""
    options: dict[str, Any] = {
        "sep": "\t" if ".tsv" in path.suffixes else _separator(path),
        "encoding": "utf-8-sig",
        "keep_default_na": False,
        "skipinitialspace": True,
    }
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0]
    names = [str(cell).strip() for cell in header]
    _refuse_twins(names)
    return pd.read_csv(
        path,
        header=0,
        names=[name or f"\0{i}" for i, name in enumerate(names)],
        index_col=False,
        na_values=["", *missing],
        low_memory=False,
        chunksize=n_rows,
        dtype=dict.fromkeys(texts, str),
        **options,
    )


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the columns that have no name."""
    named: pd.DataFrame = frame[[n for n in frame.columns if not n.startswith("\0")]]
    return named


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Say what pandas cannot read in words that stand behind the file's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except pd.errors.EmptyDataError:
        raise _NoTableError("is empty.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise _NoTableError(_ragged(str(error))) from None


def _separator(path: Path) -> str:
    """The one that the first line has most of; a comma if it has none."""
    with _opened(path) as file:
        line = file.readline(2**20)
    return max(SEPARATORS, key=lambda separator: line.count(separator.encode()))


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _refuse_twins(names: list[str]) -> None:
    twins = sorted({name for name in names if name and names.count(name) > 1})
    if twins:
        raise _NoTableError(
            f"has several columns of the name {listed(twins)}. Give each column its own name."
        )


def _ragged(message: str) -> str:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if found is None:
        return f"is no table: {_one_line(Exception(message))}"
    columns, line, cells = found.groups()
    return f"has {columns} columns, but line {line} has {cells} cells. Quote cells with commas."


def _not_utf_8(path: Path) -> str:
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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
