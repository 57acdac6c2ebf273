from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.report.phrases import foreign_text


@given(st.text(st.characters()))
def test_plain_text_is_printable_and_unchanged_where_it_was(text: str) -> None:
    shown = foreign_text.plain(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\rc", r"a\nb\rc"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202eevil", r"\u202eevil"),
        ("\ud800", r"\ud800"),
        ("straße 日本", "straße 日本"),
    ],
)
def test_control_characters_become_visible(text: str, shown: str) -> None:
    assert foreign_text.plain(text) == shown


def test_lines_stay_lines() -> None:
    assert foreign_text.plain_lines("a\tb\n\x1bc\r\n") == "a   b\n\\x1bc\\r\n"


def test_what_is_too_long_is_shortened() -> None:
    assert foreign_text.shortened("abcdef", 4) == "abc…"
