"""How messages count: `1 row`, `2 rows`."""

from __future__ import annotations


def count(n: int, one: str, more: str = "") -> str:
    """`1 trial`, `2 trials`, `3 classes`.

    Args:
        one: the words after 1, with a verb if it changes, too: `row is`.
        more: the words after other numbers, if an -s is not enough: `rows are`.
    """
    more = more or one + ("es" if one.endswith("s") else "s")
    return f"{n:,} {one if n == 1 else more}"
