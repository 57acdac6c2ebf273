"""What is wrong with a setting is said in tunecli's words, whatever stands there."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest

from tunecli.study_file.read.pydantic_messages import validated
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.settings import (
    CompressionSettings,
    DataSettings,
    Settings,
    TrainingSettings,
    ValidationSettings,
)

SECTIONS = (
    DataSettings,
    ValidationSettings,
    TrainingSettings,
    CompressionSettings,
    SearchSettings,
)
READ_APART = {"augment", "scale", "sampler", "pruner"}
ODD: list[Any] = [None, True, 0, -1, 1.5, 10**400, "x", "", "3"]
ODD += [[], [32], [32, "x"], [0, 1], [1, 2, 3], [[1]], {}, {"a": 1}, {"patience": []}]


@pytest.mark.parametrize(
    ("settings", "name"),
    [(one, name) for one in SECTIONS for name in one.model_fields if name not in READ_APART],
)
def test_no_words_for_programmers_are_told(settings: type[Settings], name: str) -> None:
    for value in ODD:
        for _, message in validated(settings, {name: value})[1]:
            assert not re.search(r"[Ii]nput|should|valid |items|instance", message)


@pytest.mark.parametrize("size", [[32], [32, 0], [1, 2, 3], [32, 1.5], 0, True, "x", []])
def test_a_size_is_one_number_or_two(size: Any) -> None:
    [(path, message)] = validated(DataSettings, {"source": "a", "size": size})[1]
    assert path == ("size",)
    assert message.startswith("must be a whole number or [height, width], each at least 1")


@pytest.mark.parametrize("size", [64, [48, 64], None])
def test_sizes(size: Any) -> None:
    found, mistakes = validated(DataSettings, {"source": "a", "size": size})
    assert (found and found.size, mistakes) == (size, [])


class Words(Settings):
    """Settings of all kinds of words."""

    number: Literal[1, 3] | None = None
    truth: Literal[True] | None = None
    mixed: Literal["a", 2, False, "two words"] = "a"
    bool_or_word: bool | Literal["auto"] = "auto"
    whole: int = 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("number", 2, "must be `1` or `3`, but got 2."),
        ("number", "3", "must be `1` or `3`, but got '3'. Did you mean `3`?"),
        ("truth", False, "must be `true`, but got false."),
        ("mixed", 3, "must be `a`, `2`, `false` or `two words`, but got 3."),
        ("bool_or_word", 5, "must be true or false or `auto`, but got 5."),
        ("whole", 1e12, "must be a whole number, but got 1000000000000.0. Write 1000000000000."),
        ("whole", 1.5, "must be a whole number, but got 1.5."),
        ("whole", 1e30, "must be a whole number, but got 1e+30."),
    ],
)
def test_every_value_that_may_stand_there_is_named(name: str, value: Any, message: str) -> None:
    assert validated(Words, {name: value})[1] == [((name,), message)]
