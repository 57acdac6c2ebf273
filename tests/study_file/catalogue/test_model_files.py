"""A changed file that a model starts from is noticed, whatever its time says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.study_file.catalogue.model_files import FileState, changed_model_files, model_files
from tunecli.study_file.study_file import StudyFile

FILES = {"config.json": '{"model_type": "bert"}', "tokenizer.json": "{}", "model.safetensors": "x"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models" / "mini").mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / "models" / "mini" / name).write_text(content)
    (tmp_path / "models" / "mini" / "README.md").write_text("about it")
    (tmp_path / "glove.txt").write_text("a 1 2\n")
    return tmp_path


NAMES = ["models/mini", "glove.txt"]


def test_digests_are_those_of_the_files(folder: Path) -> None:
    found = model_files(NAMES, folder, {})
    assert {*found["models/mini"]} == {*FILES}
    for name, content in FILES.items():
        assert found["models/mini"][name].digest == hashlib.sha256(content.encode()).hexdigest()
    assert [*found["glove.txt"]] == ["glove.txt"]


@pytest.mark.parametrize("name", [*(f"models/mini/{file}" for file in FILES), "glove.txt"])
def test_a_change_is_named(folder: Path, name: str) -> None:
    before = model_files(NAMES, folder, {})
    os.utime(folder / name, ns=(1, 1))  # such as after a copy
    assert changed_model_files(before, model_files(NAMES, folder, before)) == []
    (folder / name).write_text((folder / name).read_text() + " ")
    assert changed_model_files(before, model_files(NAMES, folder, before)) == [name]


def test_files_that_appear_or_vanish_are_changes(folder: Path) -> None:
    before = model_files(NAMES, folder, {})
    (folder / "models" / "mini" / "README.md").write_text("more about it")
    assert changed_model_files(before, model_files(NAMES, folder, before)) == []
    (folder / "models" / "mini" / "model-2.safetensors").write_text("y")
    (folder / "glove.txt").unlink()
    assert changed_model_files(before, model_files(NAMES, folder, before)) == [
        "models/mini/model-2.safetensors",
        "glove.txt",
    ]


def test_a_file_of_the_same_size_and_time_is_not_read_again(folder: Path) -> None:
    before = model_files(["glove.txt"], folder, {})
    state = before["glove.txt"]["glove.txt"]
    known = {"glove.txt": {"glove.txt": FileState(state.size, state.mtime, "known")}}
    assert model_files(["glove.txt"], folder, known) == known


contents = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


@given(contents, contents)
def test_exactly_the_differences_are_named(one: dict[str, str], other: dict[str, str]) -> None:
    before, now = (
        {"m": {name: FileState(1, 1, digest) for name, digest in given.items()}}
        for given in (one, other)
    )
    differing = {f"m/{name}" for name in {*one, *other} if one.get(name) != other.get(name)}
    assert changed_model_files(before, now) == sorted(differing)
    assert changed_model_files({}, now) == changed_model_files(before, {}) == []


def test_all_names_of_a_study_are_found_and_those_of_its_own_code_are_not() -> None:
    text = """
data: {source: t.csv, target: y, text: t}
variant:
  choice:
    a: {model: {TextCNN: {vectors: {choice: [b.txt, a.txt]}}}}
    b: {model: {choice: {one: {AutoModelForSequenceClassification: {pretrained: mini}},
                         two: {EmbeddingBag: {vectors: none}}}}}
    c: {model: {"my.py:Net": {vectors: other.txt}}}
optimizer: {SGD: {lr: 0.1}}
"""
    assert StudyFile.from_text(text, "s.yaml").model_file_names == ["a.txt", "b.txt", "mini"]
