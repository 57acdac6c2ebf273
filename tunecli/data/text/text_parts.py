"""Divide one long text into many short parts, so that its last share can be held out."""

from __future__ import annotations

import re
from itertools import pairwise

MOST_PARTS = 10_000
"""Largest number of parts: a share of the parts is within 0.01 % of that share of the text."""

_WORD = re.compile(r"\S\s")


def text_parts(text: str) -> list[str]:
    """Return the parts of a text in order; joined, they are the text.

    They have about the same length. A part ends after a word, since cutting a word would change
    its tokens; in a text without spaces, it ends anywhere.
    """
    n_parts = min(MOST_PARTS, len(text))
    size = len(text) / n_parts if n_parts else 1.0
    ends = (_end_of_word(text, round(size * number), size) for number in range(1, n_parts))
    bounds = sorted({0, *ends, len(text)})
    return [text[start:end] for start, end in pairwise(bounds)]


def _end_of_word(text: str, place: int, size: float) -> int:
    """Return the end of the word at a place, if it ends within the next part."""
    found = _WORD.search(text, max(0, place - 1), place + max(2, round(size)))
    return found.start() + 1 if found else place
