"""What a word is, also in scripts that put no spaces between words."""

from __future__ import annotations

import re
from collections.abc import Iterable

UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
"""The characters of scripts without spaces between words, as the inside of a regular expression's
brackets (blocks of the Unicode standard)."""

_UNSPACED = re.compile(f"[{UNSPACED}]")
_WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


def n_words(text: str) -> int:
    """Return the number of words; a character of a script without spaces counts as one."""
    return len(_WORD.findall(text))


def have_spaces(texts: Iterable[str]) -> bool:
    """Whether most words of the texts stand between spaces, as they do in most scripts."""
    n_unspaced = n_all = 0
    for text in texts:
        n_unspaced += len(_UNSPACED.findall(text))
        n_all += n_words(text)
    return 2 * n_unspaced <= n_all
