"""A study file's text that takes on other content."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from locations import STUDIES
from study_texts import study_texts

from tunecli.study_file.text import comments
from tunecli.study_file.text.comments import annotated, rewritten
from tunecli.study_file.text.document import Document


def read(text: str) -> Any:
    return Document.parse(text, "a.yaml").data


def mutated(data: Any, draw: random.Random) -> Any:
    """The same with some entries gone, some new and some of other values."""
    if isinstance(data, dict):
        kept = {key: mutated(value, draw) for key, value in data.items() if draw.random() < 0.8}
        return kept | ({"new": [1e-7, "none", None]} if draw.random() < 0.2 else {})
    if isinstance(data, list):
        return [mutated(item, draw) for item in data if draw.random() < 0.8]
    return draw.choice([data, data, 1e-5, "no", True, 12, None, "1e3", {"a b": [1.5]}, []])


@settings(max_examples=60, deadline=None)
@given(study_texts(), st.integers(0, 2**16))
def test_it_reads_as_what_was_wanted(text: str, seed: int) -> None:
    wanted = mutated(read(text), random.Random(seed))
    assert repr(read(rewritten(text, wanted))) == repr(wanted)


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_studies_too(path: Path) -> None:
    text = path.read_text()
    for seed in range(10):
        wanted = mutated(read(text), random.Random(seed))
        assert repr(read(rewritten(text, wanted))) == repr(wanted)


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_nothing_to_change_changes_nothing(path: Path) -> None:
    text = path.read_text()
    assert rewritten(text, read(text)) == text


TEXT = """\
# the head
data: digits
model:
  choice:
    MLP:              # the usual one
      width: {int: [8, 64]}   # columns
      depth: 1
    CNN:
      channels: 8     # few

# what drives it
optimizer: {AdamW: {lr: {float: [1e-4, 1E-1], log: true}}}
training:
  epochs: 012   # odd
"""


def test_comments_and_notation_stay_where_nothing_changes() -> None:
    wanted = copy.deepcopy(read(TEXT))
    wanted["optimizer"]["AdamW"]["lr"]["float"][0] = 1e-5
    before, after = TEXT.splitlines(), rewritten(TEXT, wanted).splitlines()
    assert [x for x, y in zip(before, after, strict=True) if x != y] == [before[11]]
    assert "1E-1], log: true" in after[11]


def test_a_comment_on_what_follows_survives_what_is_dropped_before_it() -> None:
    wanted = copy.deepcopy(read(TEXT))
    del wanted["model"]["choice"]["CNN"]
    found = rewritten(TEXT, wanted)
    assert "\n\n# what drives it\noptimizer" in found
    assert "few" not in found


def test_an_option_in_the_place_of_its_choice_keeps_its_comments() -> None:
    wanted = copy.deepcopy(read(TEXT))
    wanted["model"] = {"MLP": wanted["model"]["choice"]["MLP"]}
    found = rewritten(TEXT, wanted)
    assert "width: {int: [8, 64]}" in found
    assert "# columns" in found
    assert "# what drives it" in found


def test_what_cannot_be_edited_is_written_anew() -> None:
    text = "a: &x {b: 1}\nc: *x\n"
    wanted = {"a": {"b": 1}, "c": {"b": 2}}
    assert read(rewritten(text, wanted)) == wanted


def test_notes_stand_above_their_lines() -> None:
    found = annotated(TEXT, {("model", "choice", "MLP", "width"): ["so " * 50], ("data",): ["x"]})
    lines = found.splitlines()
    assert lines[1:3] == ["# x", "data: digits"]
    above = [line for line in lines if line.startswith("      #")]
    assert len(above) == 2
    assert all(len(line) <= 99 for line in lines)
    assert read(found) == read(TEXT)


def test_a_note_that_would_change_the_content_is_left_out() -> None:
    text = "a: one\n  two\nb: {c: 'x\n  y', d: 1}\n"
    assert read(annotated(text, {("b", "d"): ["so"]})) == read(text)


@pytest.mark.parametrize(
    ("text", "new", "wanted"),
    [
        (
            "lr:   # the rate\n  float: [1e-5, 1e-1]   # wide\n  log: true\n",
            0.01,
            "lr: 0.01   # the rate\n",
        ),
        ("lr:\n  choice: [16, 32]   # powers\n", 32, "lr: 32\n"),
        (
            "lr:  # which\n  choice:\n  - MLP  # m\n  - CNN  # c\n# after\n",
            "MLP",
            "lr: MLP   # which\n# after\n",
        ),
        ("lr: {choice: [16, 32]}  # rows\n", 32, "lr: 32  # rows\n"),
    ],
)
def test_a_value_that_replaces_a_block_keeps_the_comment_of_its_key(
    text: str, new: object, wanted: str
) -> None:
    assert rewritten(f"a: 1\n{text}", {"a": 1, "lr": new}) == f"a: 1\n{wanted}"


def test_an_anchor_that_differs_from_its_alias_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    branches = {f"b{i}": {"model": {"MLP": {"width": {"int": [8, 64]}}}} for i in range(30)}
    variants = "".join(f"  b{i}: {{model: *m}}\n" for i in range(30))
    text = f"model: &m\n  MLP: {{width: {{int: [8, 64]}}}}\nvariant:\n{variants}"
    wanted = {"model": {"MLP": {"width": {"int": [8, 32]}}}, "variant": branches}
    parsed = []
    monkeypatch.setattr(comments, "_reads_as", lambda *given: parsed.append(given) or False)
    assert read(rewritten(text, wanted)) == wanted
    assert len(parsed) <= 4


def test_a_block_of_text_takes_only_its_own_lines_along() -> None:
    text = "a: 1\nb: |\n  one\n  two\nc: {d: 1}   # kept\n"
    assert rewritten(text, {"a": 1, "c": {"d": 1}}) == "a: 1\nc: {d: 1}   # kept\n"
