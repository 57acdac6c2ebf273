"""Words are counted in every script, also in those without spaces."""

from __future__ import annotations

import pytest

from tunecli.data.text.unspaced_scripts import have_spaces, n_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("  \n", 0),
        ("one two  three", 3),
        ("這家酒店很好", 6),
        ("房间 A1 很好", 5),
        ("とてもよい", 5),
        ("ดีมาก", 5),
        ("아주 좋은 호텔", 3),
        ("очень хорошо", 2),
        ("\U00020000\U0002a6df", 2),
    ],
)
def test_a_character_is_a_word_where_no_spaces_separate_words(text: str, expected: int) -> None:
    assert n_words(text) == expected


@pytest.mark.parametrize("text", ["a good hotel", "아주 좋은 호텔", "فندق جيد", "a b c d 好", ""])
def test_most_scripts_have_spaces(text: str) -> None:
    assert have_spaces([text])


@pytest.mark.parametrize("text", ["这家酒店非常好，房间很干净", "とてもよいホテル", "โรงแรมดีมาก"])
def test_some_have_none(text: str) -> None:
    assert not have_spaces([text, "OK"])
