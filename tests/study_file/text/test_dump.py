"""What is written as YAML can be read by people, and reads back."""

from __future__ import annotations

import pytest
import yaml

from tunecli.study_file.text.dump import flow, inline, to_text


@pytest.mark.parametrize("name", ["标签", "größe", "emoji 😀", "عنوان"])
def test_letters_of_all_scripts_are_written_as_they_are(name: str) -> None:
    assert flow(name) == name
    assert flow([name, 1]) == f"[{name}, 1]"
    assert inline({"target": name}) == f"{{target: {name}}}"
    assert to_text({"target": name}) == f"target: {name}\n"


@pytest.mark.parametrize("name", ["a\x00b", "a\x1b[2Jb", "a\u2028b", "\ufeffa"])
def test_control_characters_are_escaped_and_read_back(name: str) -> None:
    text = flow(name)
    assert text.isascii()
    assert yaml.safe_load(text) == name
