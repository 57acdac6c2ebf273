"""What is wrong with a setting is said in tunecli's words, whatever stands there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tunecli.study_file.settings import (
    CompressionSettings,
    DataSettings,
    SearchSettings,
    Settings,
    TrainingSettings,
    ValidationSettings,
)
from tunecli.study_file.wording import validated

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
