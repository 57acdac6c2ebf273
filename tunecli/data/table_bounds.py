"""What a table may be at most: said before the work, since a small file may hold a huge table."""

from __future__ import annotations

from tunecli.data.hardware import memory
from tunecli.study_file.counts import count

MOST_COLUMNS = 100_000
MOST_ROWS = 100_000_000
COPIES = 4
"""Times that the numbers of a table are in memory while it is read, or more."""


class UnreadableTableError(Exception):
    """What is wrong with a file, to stand behind its name."""


def check_columns(n_columns: int) -> None:
    """Refuse a table with too many columns.

    Raises:
        UnreadableTableError: with the number and the bound.
    """
    if n_columns > MOST_COLUMNS:
        raise UnreadableTableError(
            f"has {count(n_columns, 'column')}, but a table may have at most {MOST_COLUMNS:,}. "
            "Store the numbers as an array (.npy), or select columns before."
        )


def check_size(n_rows: int, n_columns: int) -> None:
    """Refuse a table that is too large for tunecli or for this machine.

    Raises:
        UnreadableTableError: with its size and the bound.
    """
    if n_rows > MOST_ROWS:
        raise UnreadableTableError(
            f"has {count(n_rows, 'row')}, but a table may have at most {MOST_ROWS:,}. Take a "
            "sample."
        )
    needed = COPIES * 8 * n_rows * n_columns
    if needed > memory():
        raise UnreadableTableError(
            f"has {count(n_rows, 'row')} of {count(n_columns, 'column')}, which need about "
            f"{_gib(needed)} of memory; there are {_gib(memory())}. Take a sample, or "
            "fewer columns."
        )


def check_bytes(n_bytes: int) -> None:
    """Refuse more text than fits into memory.

    Raises:
        UnreadableTableError: with the bytes.
    """
    if n_bytes > memory():
        raise UnreadableTableError(
            f"has more than {_gib(memory())} of text, which do not fit into memory. Take a sample."
        )


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:,.1f} GiB"
