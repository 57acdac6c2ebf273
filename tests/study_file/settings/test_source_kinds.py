from __future__ import annotations

from pathlib import Path

import pytest
import torchvision

from tunecli.errors import StudyFileError
from tunecli.study_file.settings.source_kinds import TORCHVISION, kind_of
from tunecli.study_file.study_file import StudyFile, read_study_file


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("digits", "bundled"),
        ("MNIST", "torchvision"),
        ("train.csv", "table"),
        ("data/TRAIN.CSV.GZ", "table"),
        ("../t.parquet", "table"),
        ("a.npz", "arrays"),
        ("a/x.npy", "arrays"),
        ("a.pt", "arrays"),
        ("pictures/", "pictures"),
        ("data/pictures", "pictures"),
        (".", "pictures"),
        ("my.py:load", "code"),
        ("lib/my.py:load", "code"),
        ("package.module:load", "code"),
        ("mnist", None),
        ("pictures", None),
    ],
)
def test_a_source_is_told_by_its_form(source: str, kind: str | None) -> None:
    assert kind_of(source) == kind


def test_the_torchvision_sets_are_torchvisions() -> None:
    assert set(TORCHVISION) <= set(torchvision.datasets.__all__)


def messages(
    data: str, folder: Path | None = None, validation: str = "{}", model: str = "MLP"
) -> list[str]:
    text = f"data: {data}\nvalidation: {validation}\nmodel: {model}\noptimizer: SGD\n"
    try:
        StudyFile.from_text(text, "s.yaml", folder=folder)
    except StudyFileError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("digts", "data: unknown data set 'digts'. Did you mean `digits`?"),
        ("mnist", "data: unknown data set 'mnist'. Did you mean `MNIST`?"),
        ("xyzzy", "data: unknown data set 'xyzzy'. Valid names are `breast_cancer`, `diabetes`,"),
        (
            "{source: digits, target: y}",
            "data.target: applies only to a table or a file of arrays, but",
        ),
        ("{source: t.csv}", "data.target: required for a table, but missing."),
        (
            "{source: t.csv, target: y, targets: [a, b]}",
            "data.targets: only one of target and targets is allowed.",
        ),
        ("{source: t.csv, targets: [a]}", "data.targets: names a single column. Write target: a"),
        (
            "{source: t.csv, targets: [a, b], task: classification}",
            "data.task: classification predicts one column, but targets names 2.",
        ),
        (
            "{source: t.csv, target: y, task: multilabel}",
            "data.task: multilabel predicts several columns of 0 and 1.",
        ),
        (
            "{source: t.csv, targets: [a, b], positive: x}",
            "data.positive: has no effect with several targets",
        ),
        (
            "{source: a.npz, targets: [a, b]}",
            "data.targets: applies only to a table, but the source is a file of",
        ),
        (
            "{source: pictures/, targets: [a, b]}",
            "data.targets: applies only to a table, but the source is a folder of",
        ),
        (
            "{source: t.csv, target: y, root: x}",
            "data.root: applies only to a torchvision data set,",
        ),
        (
            "{source: a.npz, drop: [a]}",
            "data.drop: applies only to a table, but the source is a file of",
        ),
        (
            "{source: MNIST, test: t.csv}",
            "data.test: only files and folders can have a test file",
        ),
        (
            "{source: digits, group: a}",
            "data.group: applies only to a table, but the source is a bundled",
        ),
        ("{source: t.csv, target: y, test: 1.0}", "data.test: must be below 1 or a string, but"),
        ("{source: t.csv, target: y, drop: [true]}", "data.drop: must be a string, but got"),
    ],
)
def test_what_does_not_belong_to_a_source_is_told(data: str, message: str) -> None:
    (found,) = messages(data)
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (
            "{file: b.csv}",
            "validation.file: applies only to a table or a text file or folder, but the source",
        ),
        ("{folds: 5, column: a}", "validation.column: only one of folds and column is allowed."),
        ("{file: b.csv, repeats: 2}", "validation.file: repeats requires folds."),
    ],
)
def test_what_does_not_belong_to_a_validation_is_told(validation: str, message: str) -> None:
    assert any(found.startswith(message) for found in messages("digits", validation=validation))


@pytest.mark.parametrize("source", ["x.xlsx", "x.feather", "nowhere/", "sub/pictures/"])
def test_a_missing_source_is_one_mistake(tmp_path: Path, source: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(f"data: {{source: {source}, target: y}}\nmodel: MLP\noptimizer: AdamW\n")
    with pytest.raises(StudyFileError) as caught:
        read_study_file(file)
    (problem,) = caught.value.problems
    assert "does not exist" in problem.message


def test_paths_are_looked_up_beside_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "data" / "adult").mkdir(parents=True)
    (tmp_path / "data" / "adult" / "train.csv").write_text("a,y\n")
    table = "{source: %s, target: y}"
    assert messages(table % "data/adult/train.csv", tmp_path) == []
    (found,) = messages(table % "data/adult/trian.csv", tmp_path)
    assert found.startswith(
        "data.source: file 'data/adult/trian.csv' does not exist (looked for at"
    )
    assert str(tmp_path / "data" / "adult" / "trian.csv") in found
    assert found.endswith("Did you mean `data/adult/train.csv`?")
    (found,) = messages(table % "data/aduld/train.csv", tmp_path)
    assert found.endswith("Did you mean `data/adult`?")
    (found,) = messages(table % "zzz.csv", tmp_path)
    assert found.endswith("Paths are relative to the study file's folder.")
    (found,) = messages("data/adult/", tmp_path, validation="{folder: val}")
    assert found.startswith("validation.folder: folder 'val' does not exist")
    (found,) = messages("data/adult/train.xlsx", tmp_path)
    assert found.startswith("data: file or folder 'data/adult/train.xlsx' does not exist")
    assert found.endswith("Spreadsheets are not supported: save the sheet as .csv.")
    (tmp_path / "data" / "adult" / "train.xlsx").write_text("")
    (found,) = messages("data/adult/train.xlsx", tmp_path)
    assert found.endswith("is a file of an unknown type. Save the sheet as .csv.")
    (found,) = messages("data", tmp_path)
    assert found.endswith("To use the folder of that name, write data/.")
    (found,) = messages("{source: data/adult/train.csv, target: y, test: no.csv}", tmp_path)
    assert found.startswith("data.test: file 'no.csv' does not exist")


def test_a_missing_file_has_a_line(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("data:\n  source: no.csv\n  target: y\nmodel: MLP\noptimizer: SGD\n")
    with pytest.raises(StudyFileError, match=r"s.yaml:2:11: data.source: file 'no.csv' does not"):
        read_study_file(file)


def test_a_stored_study_is_read_where_its_data_is_not(tmp_path: Path) -> None:
    assert messages("{source: gone/train.csv, target: y}") == []
    assert messages("gone/pictures") == []


@pytest.mark.parametrize(
    ("data", "task"),
    [
        ("{source: t.csv, target: y}", None),
        ("{source: t.csv, target: y, task: regression}", "regression"),
        ("pictures/", "classification"),
        ("CIFAR10", "classification"),
        ("diabetes", "regression"),
        ("my.py:load", None),
    ],
)
def test_the_task_is_known_before_the_data_where_it_can_be(data: str, task: str | None) -> None:
    text = f"data: {data}\nmodel: MLP\noptimizer: SGD\n"
    assert StudyFile.from_text(text, "s.yaml").task == task


def test_one_word_and_numbers_may_stand_for_a_list() -> None:
    text = (
        "data: {source: t.csv, target: y, drop: a, missing: [-9, '?']}\nmodel: MLP\noptimizer: SGD"
    )
    data = StudyFile.from_text(text, "s.yaml").data
    assert (data.drop, data.missing) == (["a"], ["-9", "?"])


def test_what_is_left_open_follows_from_the_data() -> None:
    text = "data: {source: t.csv, target: y}\nmodel: MLP\noptimizer: SGD"
    study = StudyFile.from_text(text, "s.yaml")
    assert study.completed("regression", 100).data.test == 0.2
    own_splits = ("test", "validation")
    own = study.completed("regression", 100, own_splits)
    assert own.data.test is None
    assert own.validation.is_open
    again = StudyFile.from_text(own.to_yaml(), "s.yaml").completed("regression", 100, own_splits)
    assert again == own


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ('decimal: ",", thousands: "."', []),
        (
            'thousands: "."',
            ["data.thousands: '.' is already the decimal sign. Also write decimal: ','"],
        ),
        ('decimal: ",", thousands: ","', ["data.thousands: ',' is already the decimal sign."]),
        (
            'units: ["%", "5"]',
            ["data.units: must be strings such as % or $, without digits"],
        ),
    ],
)
def test_how_numbers_are_written_is_clear(
    tmp_path: Path, numbers: str, expected: list[str]
) -> None:
    (tmp_path / "t.csv").write_text("a,y\n")
    found = messages(f"{{source: t.csv, target: y, {numbers}}}", tmp_path)
    assert len(found) == len(expected)
    assert all(message.startswith(start) for message, start in zip(found, expected, strict=True))
