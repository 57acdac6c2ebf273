"""Configurations to try first: what may name an option, and what is said where nothing does."""

from __future__ import annotations

import re

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.read_start_with import StartFrom
from tunecli.study_file.study_file import StudyFile

CHOICES = {
    "model.MLP.width": [
        "{small: 4, large: 16}",
        "{4: 8, 16: 32, 1e999: 64}",
        "{null: 8, true: 16}",
        "{narrow: 8, tapered: [16, 8]}",
        "{searched: {int: [4, 8]}, fixed: 16}",
        "[4, [16, 8], 32]",
    ],
    "training.clip_norm": ["{off: none, on: 1}", "{none: none, some: 1.5}", "[none, 1, 2.5]"],
    "training.batch_size": ["[16, full]", "{'a: b': 16, 'all rows': full, '16': 32}"],
    "schedule": ["[none, CosineAnnealingLR]", "{none: , cosine: CosineAnnealingLR}"],
    "optimizer": ["[Adam, SGD]", "{Adam: , mine: SGD}"],
}


def read(path: str, options: str, entry: str) -> StudyFile:
    sections = {
        "model": "MLP",
        "optimizer": "Adam",
        "training.clip_norm": "1",
        "training.batch_size": "32",
        "schedule": "none",
    }
    if path == "model.MLP.width":
        sections["model"] = f"{{MLP: {{width: {{choice: {options}}}}}}}"
        start = f"model: {{MLP: {{width: {entry}}}}}"
    else:
        sections[path] = f"{{choice: {options}}}"
        start = f"training: {{{path[9:]}: {entry}}}" if "." in path else f"{path}: {entry}"
    training = {key[9:]: sections.pop(key) for key in list(sections) if "." in key}
    lines = [f"{key}: {value}" for key, value in sections.items()]
    lines += [f"training: {{{', '.join(f'{k}: {v}' for k, v in training.items())}}}"]
    lines += ["data: digits", f"search: {{start_with: [{{{start}}}]}}"]
    return StudyFile.from_text("\n".join(lines), "a.yaml")


@pytest.mark.parametrize(
    ("path", "options"), [(path, options) for path, each in CHOICES.items() for options in each]
)
def test_whatever_the_message_offers_is_accepted(path: str, options: str) -> None:
    with pytest.raises(StudyFileError, match="must be one of") as caught:
        read(path, options, "wrong")
    [problem] = caught.value.problems
    offered = re.findall(r"`([^`]*)`", problem.message.partition(", but got")[0])
    taken = [read(path, options, text).start_with[0][path] for text in offered]
    parameter = next(p for p in read(path, options, offered[0]).parameters if p.name == path)
    assert taken == list(parameter.range.choices)


@pytest.mark.parametrize(
    ("entry", "label"),
    [("4", "small"), ("small", "small"), ("16", "large"), ("[16, 8]", "tapered")],
)
def test_an_option_is_named_by_its_label_or_its_value(entry: str, label: str) -> None:
    options = "{small: 4, large: 16, tapered: [16, 8]}"
    assert read("model.MLP.width", options, entry).start_with == ({"model.MLP.width": label},)


def test_a_label_goes_before_the_value_of_another_option() -> None:
    study = read("model.MLP.width", "{16: 4, 4: 16}", "4")
    assert study.start_with == ({"model.MLP.width": "4"},)


def test_variants_are_named_by_their_labels() -> None:
    text = "data: digits\nmodel: MLP\noptimizer: Adam\nvariant: {choice: {1: , 'a: b': }}\n"
    for label, name in (("1", "1"), ("'a: b'", "a: b")):
        study = StudyFile.from_text(f"{text}search: {{start_with: [{{variant: {label}}}]}}", "a")
        assert study.start_with == ({"variant": name},)
    with pytest.raises(StudyFileError, match=r"must be one of `'1'` or `'a: b'`, but got 'c'"):
        StudyFile.from_text(f"{text}search: {{start_with: [{{variant: c}}]}}", "a.yaml")


def test_another_study_stands_without_the_list() -> None:
    text = "data: digits\nmodel: MLP\noptimizer: Adam\nsearch: {start_with: [{study: x}]}\n"
    wanted = r"must not be inside a list. Write start_with: {study: x}\."
    with pytest.raises(StudyFileError, match=wanted):
        StudyFile.from_text(text, "a.yaml")


def start_from(written: str) -> StudyFile:
    text = f"data: digits\nmodel: MLP\noptimizer: Adam\nsearch: {{start_with: {written}}}\n"
    return StudyFile.from_text(text, "a.yaml")


def test_another_study_may_be_taken_without_repeats() -> None:
    assert start_from("{study: x}").start_from == StartFrom("x", 5, repeat=True)
    assert start_from("{study: x, best: 3, repeat: false}").start_from == StartFrom("x", 3, False)
    unknown = r"unknown key. Did you mean `repeat`\?"
    with pytest.raises(StudyFileError, match=unknown):
        start_from("{study: x, repat: false}")
    with pytest.raises(StudyFileError, match=r"repeat: must be true or false, but got 3\."):
        start_from("{study: x, repeat: 3}")
