"""The top of the next round's file: `study:` first, its origin, and the command that runs it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunecli.report.next_round.opening import Renaming, opened
from tunecli.study_file.text.comments import with_first
from tunecli.study_file.text.document import Document

RENAMING = Renaming("digits", "digits-2", "studies/digits-2.yaml")
BODY = "study: digits-2\ndata: digits\n"


def head(text: str, renaming: Renaming = RENAMING) -> str:
    whole = opened(text + BODY, "digits: 9 trials, best accuracy 0.8", renaming)
    assert whole.endswith(BODY)
    return whole.removesuffix(BODY)


ORIGIN = "# The next round after digits: 9 trials, best accuracy 0.8.\n"


def test_a_file_without_a_header_gets_its_origin_and_its_command() -> None:
    assert head("") == f"{ORIGIN}#\n#   tunecli search studies/digits-2.yaml\n"
    options = replace(RENAMING, new_file="my file.yaml", options="--runs elsewhere")
    assert head("", options).endswith("#   tunecli search 'my file.yaml' --runs elsewhere\n")


def test_the_commands_of_the_old_header_name_the_new_file_and_study() -> None:
    old = (
        "# Digits of digits.\n#\n#   tunecli check studies/digits.yaml --code a.py\n"
        "#   tunecli search digits.yaml    # Ctrl-C stops it\n#   tunecli report digits\n\n"
    )
    assert head(old) == (
        "# Digits of digits.\n#\n#   tunecli check studies/digits-2.yaml --code a.py\n"
        "#   tunecli search studies/digits-2.yaml    # Ctrl-C stops it\n"
        f"#   tunecli report digits-2\n\n{ORIGIN}"
    )


def test_only_the_newest_round_is_told() -> None:
    first = head("# About digits.\n")
    again = opened(
        f"{first}study: digits-3\ndata: digits\n",
        "digits-2: 9 trials",
        Renaming("digits-2", "digits-3", "digits-3.yaml"),
    )
    assert again.count("The next round after") == 1
    assert "# The next round after digits-2: 9 trials.\n" in again
    assert again.count("tunecli search") == 1
    assert "#   tunecli search digits-3.yaml\n" in again


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("study: a\ndata: b\n", "study: a\ndata: b\n"),
        ("data: b\n", "data: b\n"),
        (
            "# about\n\ndata: {source: b}  # small\n\n# its name\nstudy: a  # mine\nmodel: c\n",
            "# about\n\n# its name\nstudy: a  # mine\ndata: {source: b}  # small\n\nmodel: c\n",
        ),
        ("{data: b, study: a}\n", "{study: a, data: b}\n"),
        ("data: b\nstudy:\n  a\n", "study: a\ndata: b\n"),
    ],
)
def test_the_study_is_named_first_with_its_comments(text: str, wanted: str) -> None:
    moved = with_first(text, "study")
    assert moved == wanted
    assert Document.parse(moved, "").data == Document.parse(text, "").data
