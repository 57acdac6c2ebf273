"""Read JSON Lines, compressed or not: each line is one row, `{"name": cell, …}`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pandas as pd

from tunecli.data.tables.table_bounds import UnreadableTableError, check_columns, check_size
from tunecli.data.tables.text_files import BoundedText, opened_text

Row = Mapping[str, Any]


def jsonl_rows(path: Path) -> pd.DataFrame:
    """Read all rows; a row that lacks a name has a missing cell there.

    Raises:
        UnreadableTableError: a line is not JSON or no mapping, or the file is too large.
    """
    with io.BufferedReader(BoundedText(path)) as file:
        rows = [*_rows(file)]
    if not rows:
        raise UnreadableTableError("is empty.")
    names = _names(rows)
    check_size(len(rows), len(names))
    return _frame(rows, names)


def jsonl_chunks(path: Path, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read all rows, `n_rows` at a time, each with the columns of the whole file."""
    with opened_text(path) as file:
        names = _names(_rows(file))
    with opened_text(path) as file:
        rows = _rows(file)
        while some := [*islice(rows, n_rows)]:
            yield _frame(some, names)


def _rows(file: IO[bytes]) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        if text:
            yield _row(text, number)


def _row(text: str, number: int) -> Row:
    try:
        row = json.loads(text, object_pairs_hook=lambda pairs: _mapping(pairs, number))
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or "it is nested too deeply"
        raise UnreadableTableError(
            f"must have a JSON mapping per line, but line {number} is not JSON ({reason}): "
            f"{text[:50]!r}. Correct it."
        ) from None
    if not isinstance(row, dict):
        raise UnreadableTableError(
            f'must have a JSON mapping per line, such as {{"text": "…"}}, but line {number} '
            f"has {text[:50]!r}. Correct it."
        )
    return {_whole(name): _whole(cell) for name, cell in row.items()} if "\\u" in text else row


def _whole(value: Any) -> Any:
    """Return a text without halves of surrogate pairs, which UTF-8 lacks; others unchanged."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _mapping(pairs: Sequence[tuple[str, Any]], number: int) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twins := [name for name in names if names.count(name) > 1]:
        raise UnreadableTableError(f"has {twins[0]!r} twice in line {number}. Rename one of them.")
    return dict(pairs)


def _names(rows: Iterator[Row] | Sequence[Row]) -> list[str]:
    """Return the names of all columns, in the order in which they appear."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
        check_columns(len(names))
    return [*names]


def _frame(rows: Sequence[Row], names: Sequence[str]) -> pd.DataFrame:
    """Return rows with these columns; whole numbers stay whole, also where others are missing."""
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pd.DataFrame({name: _column(cells) for name, cells in columns.items()})


def _column(cells: Sequence[Any]) -> pd.Series:
    there = [cell for cell in cells if cell is not None]
    if there and all(type(cell) is int and abs(cell) < 2**63 for cell in there):
        return pd.Series(cells, dtype="Int64" if len(there) < len(cells) else "int64")
    return pd.Series(cells, dtype=None if there else object)
