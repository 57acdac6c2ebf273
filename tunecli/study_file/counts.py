"""How messages count: `1 row`, `2 rows`."""

from __future__ import annotations


def count(n: int, one: str, more: str = "") -> str:
    """`1 trial`, `2 trials`, `3 classes`.

    Args:
        one: what stands behind 1, with a verb where that changes, too: `row is`.
        more: what stands behind other numbers, where an -s does not make it: `rows are`.
    """
    more = more or one + ("es" if one.endswith("s") else "s")
    return f"{n:,} {one if n == 1 else more}"
