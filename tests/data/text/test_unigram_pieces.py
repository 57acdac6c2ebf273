"""Pieces of Unigram: every character is one, and every process chooses the same."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tunecli.data.text.unigram_pieces import unigram_pieces

CHARACTERS = st.text(st.characters(codec="utf-8", exclude_characters="▁ "), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(words=st.lists(CHARACTERS, min_size=1, max_size=12))
@example(
    words=["<unk>", "</s>", "<s>", "a\tb", "\0", "\n", "\r\n", "\x1f", "▅", "�", "\U0010fffd"]
)
@example(words=["\U000f0000", "\ufeff", "\u2028", "\x85", "a\U000f0001\tb"])
def test_every_character_is_a_piece_and_every_piece_is_a_part_of_a_word(words: list[str]) -> None:
    counts = Counter(f"▁{word}" for word in words)
    characters = {character for word in counts for character in word}
    pieces = dict(unigram_pieces(counts, len(characters) + 20))
    assert characters <= pieces.keys()
    assert len(pieces) <= len(characters) + 20
    assert all(any(piece in word for word in counts) for piece in pieces)
    assert all(math.isfinite(score) for score in pieces.values())


def test_a_planted_vocabulary_is_found() -> None:
    """Words are made of four syllables, which are the most probable pieces."""
    syllables = ["kra", "mul", "tev", "oxi"]
    counts = Counter(
        "▁" + "".join(parts) for n in (1, 2, 3) for parts in product(syllables, repeat=n)
    )
    characters = {character for word in counts for character in word}
    pieces = [piece for piece, _ in unigram_pieces(counts, len(characters) + 4)]
    assert {*syllables} <= {*pieces}
    assert [piece for piece in pieces if len(piece) > 1 and "▁" not in piece] == [
        piece for piece in pieces if piece in syllables
    ]


def test_a_vocabulary_that_is_too_small_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"[Vv]ocabulary size"):
        unigram_pieces({"▁abcdef": 1}, 2)
