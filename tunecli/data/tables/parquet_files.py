"""Read Parquet files into data frames, keeping every value exactly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import pandas_dtype

from tunecli.data.tables.table_bounds import UnreadableTableError, check_columns, check_size
from tunecli.study_file.text.suggestions import listed

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAGIC = b"PAR1"
_WHOLE = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
"""Pandas's types of whole numbers with gaps; pyarrow's have the same names, in lower case."""
_ROW_NUMBER = re.compile(r"__index_level_\d+__")
"""The name that pandas gives to an index without one."""


def read(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read all rows, and the names of the columns that were a data frame's index.

    Raises:
        UnreadableTableError: it is not a Parquet file, damaged, or too large.
    """
    with _opened(path) as file:
        check_size(file.metadata.num_rows, file.metadata.num_columns)
        rows = _with_range(_frame(file.read()), file, 0)
        index = {_name(one) for one in _index(file)}
    return rows, tuple(name for name in rows.columns if name in index)


def chunks(path: Path, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read all rows, `n_rows` at a time.

    Raises:
        UnreadableTableError: see `read`.
    """
    import pyarrow as pa

    with _opened(path) as file:
        start = 0
        for batch in file.iter_batches(n_rows):
            yield _with_range(_frame(pa.Table.from_batches([batch])), file, start)
            start += len(batch)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_columns(len(names))
            refuse_twins(names)
            yield file
    except pa.ArrowMemoryError:
        raise MemoryError from None
    except (pa.ArrowException, OSError) as error:
        raise UnreadableTableError(_what_is_wrong(path, error)) from None


def _what_is_wrong(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(1000)
        file.seek(max(0, path.stat().st_size - len(MAGIC)))
        end = file.read()
    if not start:
        return "is empty."
    if not start.startswith(MAGIC):
        is_words = start.isascii() and all(c.isprintable() or c.isspace() for c in start.decode())
        way = "It is text: rename it to .csv or .tsv." if is_words else "Write it with to_parquet."
        return f"is not a Parquet file: it does not begin with {MAGIC.decode()}. {way}"
    if end != MAGIC:
        return "is truncated: a Parquet file ends with PAR1. Write or copy it again."
    reason = " ".join(str(error).split())[:200].rstrip(".")
    return f"is Parquet, but cannot be read: {reason}. Write it again."


def _frame(table: pa.Table) -> pd.DataFrame:
    """Convert a table to a data frame with exact whole numbers, even if some are missing."""
    import pyarrow as pa

    exact = {getattr(pa, name.lower())(): pandas_dtype(name) for name in _WHOLE}
    for position, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            plain = table.column(position).cast(field.type.value_type)
            table = table.set_column(position, field.name, plain)
    names = [name for name in table.column_names if not _ROW_NUMBER.fullmatch(name)]
    return table.select(names).to_pandas(ignore_metadata=True, types_mapper=exact.get)


def _index(file: pq.ParquetFile) -> list[Any]:
    """Return a data frame's index: names of columns, or mappings of ranges without a column."""
    metadata = file.schema_arrow.pandas_metadata or {}
    return list(metadata.get("index_columns") or [])


def _name(index: Any) -> str | None:
    return index.get("name") if isinstance(index, dict) else str(index)


def _with_range(rows: pd.DataFrame, file: pq.ParquetFile, start: int) -> pd.DataFrame:
    """Add the index that was stored as a range, if it has a name.

    Args:
        start: the number of rows before these in the file.
    """
    ranges = {}
    for index in _index(file):
        name = _name(index)
        if isinstance(index, dict) and isinstance(name, str) and name not in rows.columns:
            first, step = index["start"], index["step"]
            ranges[name] = first + step * np.arange(start, start + len(rows))
    return rows.assign(**ranges) if ranges else rows


def refuse_twins(names: list[str]) -> None:
    """Refuse several columns with one name.

    Raises:
        UnreadableTableError: there are such columns; with their names.
    """
    given = pd.Series([name for name in names if name], dtype=object)
    twins = sorted(set(given[given.duplicated()]))
    if twins:
        raise UnreadableTableError(
            f"has several columns named {listed(twins, most=10)}. Give each column its own name."
        )
