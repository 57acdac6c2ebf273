"""A pretrained model is a folder on this machine, and nothing in it is unpickled or run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from auto_model_cases import mini_lm

from tunecli.errors import DataError, StudyFileError
from tunecli.study_file.catalogue.pretrained_folders import pretrained_folder, read_model_config
from tunecli.study_file.study_file import read_study_file


@pytest.fixture(autouse=True)
def _empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def a_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_a_folder_is_relative_to_the_study_file(tmp_path: Path) -> None:
    folder = a_model(tmp_path / "models" / "mine")
    assert pretrained_folder("models/mine", tmp_path) == folder.resolve()
    assert pretrained_folder(str(folder), Path("/")) == folder.resolve()


def test_a_name_is_looked_up_in_the_cache_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "hub" / "models--an--encoder"
    snapshot = a_model(repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert pretrained_folder("an/encoder", tmp_path) == snapshot.resolve()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("an/encoder", r"'an/encoder' is neither a folder, .* Fetch it with `hf download an/enc"),
        ("bert-base", r"Fetch it with `hf download bert-base`, or write the path of a folder\."),
        ("a/b/c", r"the folder 'a/b/c' does not exist \(looked for at .*/a/b/c\)"),
        ("../gone", r"the folder '\.\./gone' does not exist .* relative to the study file's"),
        ("./gone", r"the folder './gone' does not exist"),
    ],
)
def test_what_is_not_here_is_one_sentence(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pretrained_folder(name, tmp_path)


@pytest.mark.parametrize(
    ("missing", "extra", "message"),
    [
        ("config.json", "", r"'m' has no config\.json"),
        ("tokenizer.json", "", r"'m' has no tokenizer\.json\. Save it with"),
        ("model.safetensors", "", r"no weights as \.safetensors\. Load the model"),
        (
            "model.safetensors",
            "pytorch_model.bin",
            r"Its weights are in pytorch_model\.bin, a pickle, which tunecli does not read",
        ),
        ("", "tokenizer.pkl", r"contains tokenizer\.pkl, a pickle, which can run any code"),
    ],
)
def test_an_unusable_folder_is_refused(
    tmp_path: Path, missing: str, extra: str, message: str
) -> None:
    folder = a_model(tmp_path / "m")
    if missing:
        (folder / missing).unlink()
    if extra:
        (folder / extra).write_bytes(b"")
    with pytest.raises(DataError, match=message):
        pretrained_folder("m", tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model_type": 3}'])
def test_a_damaged_configuration_is_refused(tmp_path: Path, content: str) -> None:
    folder = a_model(tmp_path / "m")
    (folder / "config.json").write_text(content)
    with pytest.raises(DataError, match=r"config\.json"):
        read_model_config(folder)


def test_mini_lm_is_usable() -> None:
    assert pretrained_folder(str(mini_lm()), Path()) == mini_lm().resolve()
    assert read_model_config(mini_lm())["model_type"] == "bert"


def test_a_missing_model_is_reported_at_its_line_before_any_trial(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t,y\na,b\n")
    study = tmp_path / "study.yaml"
    study.write_text(
        "data: {source: t.csv, target: y, text: t}\n"
        "model:\n"
        "  AutoModelForSequenceClassification:\n"
        "    pretrained: {choice: [a/b, c/d]}\n"
        "optimizer: AdamW\n"
    )
    with pytest.raises(StudyFileError, match=r"study\.yaml:4:27: .*'a/b' is neither") as caught:
        read_study_file(study)
    assert [(one.line, one.message[:5]) for one in caught.value.problems] == [
        (4, "'a/b'"),
        (4, "'c/d'"),
    ]
