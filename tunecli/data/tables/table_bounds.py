"""Bounds on a table's size, checked before the work: a small file may hold a huge table."""

from __future__ import annotations

from tunecli.data.rows.array_forms import MOST_ROWS
from tunecli.data.rows.hardware import gib, main_memory
from tunecli.study_file.text.counts import count

MOST_COLUMNS = 100_000
COPIES = 4
"""While a table is read, memory holds at least this many copies of its numbers."""


class UnreadableTableError(Exception):
    """The reason why a file cannot be read, in words that can follow its name."""


def check_columns(n_columns: int) -> None:
    """Refuse a table with too many columns.

    Raises:
        UnreadableTableError: there are too many; with the number and the bound.
    """
    if n_columns > MOST_COLUMNS:
        raise UnreadableTableError(
            f"has {count(n_columns, 'column')}, but a table may have at most {MOST_COLUMNS:,}. "
            "Store the numbers as an array (.npy), or select fewer columns."
        )


def check_size(n_rows: int, n_columns: int) -> None:
    """Refuse a table that is too large for tunecli or for this machine.

    Raises:
        UnreadableTableError: it is too large; with its size and the bound.
    """
    if n_rows > MOST_ROWS:
        raise UnreadableTableError(
            f"has {count(n_rows, 'row')}, but a table may have at most {MOST_ROWS:,}. Use a "
            "sample."
        )
    needed = COPIES * 8 * n_rows * n_columns
    if needed > main_memory():
        raise UnreadableTableError(
            f"has {count(n_rows, 'row')} of {count(n_columns, 'column')}, which need about "
            f"{gib(needed)} of memory, but this machine has {gib(main_memory())}. Use a sample, "
            "or fewer columns."
        )


def check_bytes(n_bytes: int) -> None:
    """Refuse more text than fits into memory.

    Raises:
        UnreadableTableError: the text is too large; with the bound.
    """
    if n_bytes > main_memory():
        raise UnreadableTableError(
            f"has more than {gib(main_memory())} of text, which does not fit into memory. Use a "
            "sample."
        )
