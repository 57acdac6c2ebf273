"""How a study file names code of the user's own, what is allowed of it, and what it takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import run_in

from tunecli.errors import StudyFileError, UserCodeError
from tunecli.study_file.catalogue.allowed_code import AllowedCode, places_in
from tunecli.study_file.settings.code_names import CodeName, short_name
from tunecli.study_file.study_file import StudyFile, read_study_file

CANARY = """
from pathlib import Path
Path("canary").touch()
from torch import nn
class Net(nn.Module):
    def __init__(self, in_features, num_classes, width: int = 8, *, act: str = "ReLU"):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_features, num_classes))
    def forward(self, x):
        return self.layers(x)
class Deeper(Net): pass
class Torchs(nn.Linear): pass
def make(width: int): ...
"""
STUDY = """
data: iris
validation: {folds: 2}
model: {own.py:Net: {width: {int: [4, 8]}}}
optimizer: AdamW
training: {epochs: 1}
search: {trials: 1, parallel: 1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "own.py").write_text(CANARY)
    (tmp_path / "own.yaml").write_text(STUDY)
    return tmp_path


def mistakes(folder: Path, model: str, *options: str) -> list[str]:
    code = AllowedCode.of(folder, options)
    text = f"data: iris\nmodel: {model}\noptimizer: AdamW"
    try:
        StudyFile.from_text(text, "own.yaml", (), folder, code)
    except StudyFileError as error:
        return [problem.message for problem in error.problems]
    return []


@pytest.mark.parametrize("text", ["a.py:Net", "lib/a.py:Net", "timm:create", "a.b.c:D"])
def test_code_names(text: str) -> None:
    name = CodeName.parse(text)
    assert name is not None
    assert f"{name.place}:{name.name}" == text
    assert short_name(text) == text.rpartition(":")[2]


@pytest.mark.parametrize("text", ["MLP", "a.py", "a.py:", ":Net", "a b:c", "a:b:c", "a.py:1", 3])
def test_other_names(text: object) -> None:
    assert CodeName.parse(text) is None


@pytest.mark.parametrize("command", ["search", "check"])
def test_without_code_nothing_is_imported_and_every_name_is_told(
    folder: Path, command: str
) -> None:
    done = run_in(folder, command, "own.yaml", code=2)
    assert "own.py:Net is code, which runs only if the command line allows it" in done.stderr
    assert "own.yaml:4:9" in done.stderr
    assert "add --code own.py" in done.stderr
    assert not (folder / "canary").exists()


def test_looking_at_a_study_runs_nothing(folder: Path) -> None:
    study = read_study_file(folder / "own.yaml", (), AllowedCode.of(folder, ["own.py"]))
    assert [parameter.name for parameter in study.parameters] == ["model.Net.width"]
    assert "own.py:Net" in study.to_yaml()
    assert not (folder / "canary").exists()


def test_arguments_are_read_from_the_source(folder: Path) -> None:
    found = mistakes(folder, "{own.py:Net: {width: wide, depht: 2, act: 3}}", "own.py")
    assert any("width must be a whole number, but got the string 'wide'" in text for text in found)
    assert any("Net has no argument `depht`" in text for text in found)
    assert any("act must be a string" in text for text in found)
    assert mistakes(folder, "{own.py:Deeper: {width: 4}}", "own.py") == []
    assert mistakes(folder, "{own.py:Torchs: {whatever: 4}}", "own.py") == []
    assert (
        mistakes(folder, "{own.py:Net: {width: 4, freeze: features, backbone_lr: 0.1}}", "own.py")
        == []
    )
    [text] = mistakes(folder, "{own.py:Net: {width: 4, freeze: head}}", "own.py")
    assert "freeze must be a whole number or" in text
    assert "make needs width." in mistakes(folder, "own.py:make", "own.py")


def test_what_is_not_there_is_told(folder: Path) -> None:
    [text] = mistakes(folder, "own.py:Nett", "own.py")
    assert "has no class or function 'Nett'. Did you mean `Net`?" in text
    [text] = mistakes(folder, "others.py:Net", "own.py")
    assert "file 'others.py' does not exist" in text
    [text] = mistakes(folder, "no_such_package:Net")
    assert "package 'no_such_package' is not installed" in text
    (folder / "broken.py").write_text("def f(:\n")
    [text] = mistakes(folder, "broken.py:f", "broken.py")
    assert "cannot be read as Python" in text
    with pytest.raises(UserCodeError, match=r"--code no\.py: this file exists neither"):
        AllowedCode.of(folder, ["no.py"])
    with pytest.raises(UserCodeError, match="no such package"):
        AllowedCode.of(folder, ["no_such_package"])


def test_one_file_allows_no_other(folder: Path) -> None:
    (folder / "other.py").write_text(CANARY)
    assert "add --code" in mistakes(folder, "other.py:Net", "own.py")[0]
    assert "add --code os" in mistakes(folder, "os:system", "own.py")[0]


def test_labels_are_the_classes_names(folder: Path) -> None:
    (folder / "other.py").write_text(CANARY)
    code = AllowedCode.of(folder, ["own.py", "other.py"])
    text = "data: iris\nmodel: {choice: {own.py:Net: {width: 4}, MLP: {}}}\noptimizer: AdamW"
    study = StudyFile.from_text(text, "own.yaml", (), folder, code)
    assert study.parameters[0].range.choices == ("Net", "MLP")  # type: ignore[union-attr]
    again = StudyFile.from_text(study.to_yaml(), "own.yaml", (), folder, code)
    assert again == study
    [text] = mistakes(folder, "{choice: [own.py:Net, other.py:Net]}", "own.py", "other.py")
    assert "Net occurs twice. Give both a label" in text


def test_the_hash_covers_what_a_file_imports_from_beside_it(folder: Path) -> None:
    (folder / "layers.py").write_text("SIZE = 1\n")
    (folder / "own.py").write_text("import layers\nclass Net: ...\n")
    hashes = set()
    for content in ("SIZE = 1\n", "SIZE = 2\n"):
        (folder / "layers.py").write_text(content)
        hashes.add(AllowedCode.of(folder, ["own.py"]).files[0][1])
    assert len(hashes) == 2
    (folder / "unrelated.py").write_text("SIZE = 3\n")
    assert AllowedCode.of(folder, ["own.py"]).files[0][1] in hashes


def test_names_that_a_text_may_hold() -> None:
    text = (
        "model: {own.py:Net: {a: 1}}\nloss: 'lib/a.py:f'\nx: timm.models:y\ntraining: {epochs: 1}"
    )
    assert {"own.py", "lib/a.py", "timm"} <= places_in(text)


@pytest.mark.parametrize(
    "part", ["a", "a.", "a.py", ".py", "a:", "a.py:", "a.py:b", "_:", "é", "a b:", ":", "'a:b'"]
)
def test_a_text_of_any_length_is_looked_through_in_one_pass(part: str) -> None:
    """A pattern that begins anew at every character takes hours for this."""
    assert len(places_in(part * 300_000)) <= 1


@pytest.mark.slow
def test_a_resume_needs_no_code_until_it_changes(folder: Path) -> None:
    run_in(folder, "search", "own.yaml", "--code", "own.py", "--quiet")
    run_in(folder, "search", "own.yaml", "--trials", "2", "--quiet")  # remembered
    os.remove(folder / "canary")
    (folder / "own.py").write_text(CANARY + "\n# another\n")
    done = run_in(folder, "search", "own.yaml", "--trials", "3", code=2)
    assert "add --code own.py" in done.stderr
    done = run_in(folder, "search", "own.yaml", "--trials", "3", "--code", "own.py", code=2)
    assert "own.py has changed since the first trial" in done.stderr
    assert "--as NAME" in done.stderr
    assert not (folder / "canary").exists()


@pytest.mark.slow
def test_what_a_study_folder_says_of_itself_allows_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_in(folder, "search", "own.yaml", "--code", "own.py", "--quiet")
    os.remove(folder / "canary")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "somebody else's"))
    done = run_in(folder, "search", "own.yaml", "--trials", "2", code=2)
    assert "add --code own.py" in done.stderr
    assert not (folder / "canary").exists()
