"""`data.augment` in a study file: a list of components with ranges."""

from __future__ import annotations

from pathlib import Path

import pytest
from picture_files import make_folders
from training_cases import CPU

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import StudyFileError
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.study_file.space.walk import first_value
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation

REST = "\nmodel: MLP\noptimizer: {AdamW: {lr: 1e-3}}\n"


def read(augment: str, source: str = "digits") -> StudyFile:
    return StudyFile.from_text(f"data: {{source: {source}, augment: {augment}}}{REST}", "a.yaml")


def first(study: StudyFile) -> TrialConfig:
    completed = study.completed("classification", 1797)
    return completed.resolve(lambda _, range_: first_value(range_))


def test_ranges_stand_at_any_depth_and_have_names() -> None:
    study = read(
        "[{RandomCrop: {padding: {int: [1, 4]}}}, RandomHorizontalFlip, "
        "{choice: [none, {RandomErasing: {p: {float: [0.1, 0.5]}}}]}]"
    )
    assert [parameter.name for parameter in study.parameters] == [
        "data.augment[0].RandomCrop.padding",
        "data.augment[2]",
        "data.augment[2].RandomErasing.p",
    ]
    assert first(study).data.augment == (
        Component(name="RandomCrop", arguments={"padding": 1}),
        Component(name="RandomHorizontalFlip"),
    )


def test_labelled_lists_may_be_chosen_between() -> None:
    study = read(
        "{choice: {light: [RandomHorizontalFlip], none: [], "
        "strong: [{RandomAffine: {degrees: {float: [5, 30]}}}, RandomInvert]}}"
    )
    names = [parameter.name for parameter in study.parameters]
    assert names == ["data.augment", "data.augment.strong[0].RandomAffine.degrees"]
    assert first(study).data.augment == (Component(name="RandomHorizontalFlip"),)


@pytest.mark.parametrize(
    "augment",
    [
        "none",
        "[]",
        "RandomHorizontalFlip",
        "[RandomHorizontalFlip, {RandomAffine: {degrees: [-10, 10], p: {float: [0.1, 1]}}}]",
        "{choice: {one: [RandomInvert], two: [RandomInvert, RandomVerticalFlip]}}",
    ],
)
def test_the_resolved_study_and_the_trial_read_back_the_same(augment: str) -> None:
    study = read(augment).completed("classification", 1797)
    again = StudyFile.from_text(study.to_yaml(), "a.yaml")
    assert again.tree == study.tree
    config = first(study)
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ("[RandomHorizontalFlop]", r"Did you mean `RandomHorizontalFlip`"),
        ("[{RandomCrop: {pading: 4}}]", r"no argument `pading`. Did you mean `padding`"),
        (
            "[{RandomHorizontalFlip: {p: often}}]",
            r"p must be a number, but got the string 'often'",
        ),
        ("[RandomMixUpV2]", r"also mixes targets. Write training: {mixup: 0.2}"),
        ("[Resize]", r"it changes the size of pictures"),
        ("[RandomAffine]", r"RandomAffine needs degrees"),
    ],
)
def test_mistakes_are_told_with_their_place(augment: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=message) as error:
        read(augment)
    assert "data.augment" in str(error.value)


def test_a_table_has_no_pictures_to_change() -> None:
    with pytest.raises(
        StudyFileError, match=r"data.augment: applies only to pictures, but 't.csv' is"
    ):
        read("[RandomHorizontalFlip], target: y", source="t.csv")


def test_a_trial_has_the_same_bits_with_a_cold_and_a_warm_cache(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [30, 30]}, size=(100, 100))
    study = StudyFile.from_text(
        "data: {source: set/, augment: [RandomHorizontalFlip, {RandomAffine: {degrees: 10}}]}\n"
        "model: {CNN: {channels: 2}}\noptimizer: {AdamW: {lr: 1e-3}}\n"
        "validation: {folds: 2}\ntraining: {epochs: 1, mixup: 0.2}\n",
        "a.yaml",
    )
    found = []
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        config = first(study)
        store = FoldStore(config.data, config.validation, Workspace(tmp_path, cache))
        folds = store.folds(FeatureForm(config.data.scale), standardize_target=False)
        found.append(list(CrossValidation(config, folds, CPU)))
    assert found[0] == found[1] == found[2]
    assert list((tmp_path / "cache").glob("pictures-*"))
