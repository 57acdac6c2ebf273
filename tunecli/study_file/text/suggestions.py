"""Suggest words for misspelled ones, and list words in sentences."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_WORD = 100
"""Longer strings are not names, and take long to compare."""


def closest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return the known word most similar to `word`, ignoring case; None if none is similar.

    Of similar words, one with the same letters in another order is the most similar.
    """
    if len(word) > LONGEST_WORD:
        return None
    by_lower = {name.lower(): name for name in reversed(list(known))}
    matches = get_close_matches(word.lower(), by_lower, n=3, cutoff=likeness)
    swapped = (match for match in matches if sorted(match) == sorted(word.lower()))
    match = next(swapped, matches[0] if matches else None)
    return None if match is None else by_lower[match]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence to append to an error, with a leading space; empty if none is similar."""
    match = closest(word, known)
    return f" Did you mean `{match}`?" if match is not None else ""


def listed(words: Iterable[str], last: str = "and", most: int = 12) -> str:
    """Return `a`, `b` and `c`; if more than `most`, the first ones and a count of the others."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) > most:
        return ", ".join(quoted[:most]) + f" {last} {len(quoted) - most} more"
    if len(quoted) < 2:
        return "".join(quoted)
    return ", ".join(quoted[:-1]) + f" {last} {quoted[-1]}"
