"""What a misspelled word was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_WORD = 100
"""Longer texts are no names, and take long to compare."""


def closest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word most like `word`, whatever their case; None if none is like it."""
    if len(word) > LONGEST_WORD:
        return None
    by_lower = {name.lower(): name for name in reversed(list(known))}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=likeness)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence to append to an error, with its leading space; empty if nothing is alike."""
    match = closest(word, known)
    return f" Did you mean `{match}`?" if match is not None else ""


def listed(words: Iterable[str], last: str = "and", most: int = 12) -> str:
    """`a`, `b` and `c`; of more than `most` words the first ones and a count of the others."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) > most:
        return ", ".join(quoted[:most]) + f" {last} {len(quoted) - most} more"
    if len(quoted) < 2:
        return "".join(quoted)
    return ", ".join(quoted[:-1]) + f" {last} {quoted[-1]}"
