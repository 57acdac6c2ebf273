"""A column of weights: from the table to the loss, the scores and the final model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sk

from tunecli.data.final_fit import final_fit
from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError, StudyFileError
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.outcome.metrics import measure
from tunecli.training.rehearsal import rehearse
from tunecli.training.score_baselines import fit_baseline
from tunecli.training.step.precision import choose_device

FOLDS = ValidationSettings(folds=3)
SETTINGS: dict[str, Any] = {"source": "table.csv", "target": "y", "weights": "w"}
SCALE = Component(name="standard")


def frame(n: int = 90, task: str = "classification") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    label = np.where(x[:, 0] + rng.normal(0, 0.5, n) > 0, "yes", "no")
    y = label if task == "classification" else x @ [2.0, 1.0] + rng.normal(0, 0.1, n)
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y, "w": rng.integers(0, 4, n)})


def store(folder: Path, table: pd.DataFrame, **changes: Any) -> FoldStore:
    table.to_csv(folder / "table.csv", index=False)
    return FoldStore(DataSettings(**(SETTINGS | changes)), FOLDS, Workspace(folder))


def config(folder: Path, found: FoldStore, metrics: str = "") -> TrialConfig:
    text = (
        "data: {source: table.csv, target: y, weights: w}\nvalidation: {folds: 3}\n"
        "model: {MLP: {width: 8}}\noptimizer: {AdamW: {lr: 0.01}}\n"
        f"training: {{epochs: 3, batch_size: 16}}\n{metrics}"
    )
    study = StudyFile.from_text(text, "a.yaml", folder=folder)
    completed = study.completed(found.dataset.task, len(found.dataset.y))
    return completed.resolve(lambda name, _: pytest.fail(name))


def test_weights_are_no_feature_and_reach_every_part(tmp_path: Path) -> None:
    table = frame()
    found = store(tmp_path, table)
    assert [column.name for column in found.dataset.columns] == ["a", "b"]
    assert found.dataset.weights is not None
    np.testing.assert_array_equal(found.dataset.weights, table["w"])
    weights = torch.from_numpy(table["w"].to_numpy(float))
    for fold, (train, valid) in zip(
        found.folds(FeatureForm(SCALE), standardize_target=False), found.split.folds, strict=True
    ):
        assert (weights[train] > 0).all()
        assert fold.train_weights is not None
        assert fold.train_weights.mean().item() == pytest.approx(1.0)
        torch.testing.assert_close(
            fold.train_weights.double() * weights[train].mean(), weights[train], rtol=1e-6, atol=0
        )
        np.testing.assert_array_equal(fold.valid_weights, weights[valid])
    final = final_fit(found, FeatureForm(SCALE), False, cut_validation=True)
    assert final.fold.train_weights is not None


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.filterwarnings("error")
def test_a_study_with_weights_passes_its_check(tmp_path: Path, task: str) -> None:
    table = frame(300, task)
    table["w"] = table["w"] / 2.0  # decimal numbers, which pandas hands out read-only
    table.loc[:40, "w"] = 0.0
    found = store(tmp_path, table)
    settings = config(tmp_path, found)
    folds = found.folds(FeatureForm(SCALE), task == "regression")
    rehearsal = rehearse(settings, folds)
    assert rehearsal.error == ""
    assert rehearsal.seconds > 0


def test_rows_of_weight_0_change_no_training_tensor(tmp_path: Path) -> None:
    table = frame()
    before = store(tmp_path, table).folds(FeatureForm(SCALE), standardize_target=False)
    split = store(tmp_path, table).split
    table.loc[table["w"] == 0, "a"] = 1e6
    found = store(tmp_path, table)
    # the same rows in the same parts: only what counts nothing has changed
    assert all(
        torch.equal(a, b) for a, b in zip(split.folds[0], found.split.folds[0], strict=True)
    )
    for one, other in zip(
        before, found.folds(FeatureForm(SCALE), standardize_target=False), strict=True
    ):
        assert torch.equal(torch.as_tensor(one.x_train), torch.as_tensor(other.x_train))


def test_equal_weights_are_none_to_the_bit(tmp_path: Path) -> None:
    table = frame()
    table["w"] = 2.5
    weighted = store(tmp_path, table)
    assert weighted.dataset.weights is None
    plain = store(tmp_path, table, weights=None, drop=["w"])
    assert weighted.dataset.fingerprint == plain.dataset.fingerprint
    other = table.assign(w=np.arange(len(table)))
    assert store(tmp_path, other).dataset.fingerprint != plain.dataset.fingerprint


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_trial_is_scored_as_scikit_learn_would(tmp_path: Path, task: str) -> None:
    found = store(tmp_path, frame(task=task))
    study = config(tmp_path, found)
    folds = found.folds(FeatureForm(SCALE), standardize_target=True)
    training = CrossValidation(study, folds, choose_device("cpu"))
    for _ in training:
        pass
    for loop, (_, valid) in zip(training.folds, found.split.folds, strict=True):
        outputs = loop.best_outputs
        assert outputs is not None
        y = found.dataset.y[valid].numpy()
        weights = found.dataset.weights_of(valid)
        if task == "classification":
            expected = sk.accuracy_score(y, outputs.argmax(1), sample_weight=weights)
        else:
            expected = math.sqrt(sk.mean_squared_error(y, outputs, sample_weight=weights))
        scores = training.result().fold_scores
        assert scores[loop.fold.number] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["commonest class", "logistic regression"])
def test_baselines_are_weighted_too(tmp_path: Path, name: str) -> None:
    table = frame()
    repeated = fit_baseline(name, config(tmp_path, store(tmp_path, table)), store(tmp_path, table))
    assert repeated.fold_scores
    flat = store(tmp_path, table.assign(w=1))
    assert fit_baseline(name, config(tmp_path, flat), flat).fold_scores != repeated.fold_scores


CLASSIFICATION = [
    ("accuracy", lambda y, p, w: sk.accuracy_score(y, p.argmax(1), sample_weight=w)),
    (
        "balanced_accuracy",
        lambda y, p, w: sk.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
    ),
    (
        "precision",
        lambda y, p, w: sk.precision_score(y, p.argmax(1), average="macro", sample_weight=w),
    ),
    ("recall", lambda y, p, w: sk.recall_score(y, p.argmax(1), average="macro", sample_weight=w)),
    ("f1", lambda y, p, w: sk.f1_score(y, p.argmax(1), average="macro", sample_weight=w)),
    ("mcc", lambda y, p, w: sk.matthews_corrcoef(y, p.argmax(1), sample_weight=w)),
    ("log_loss", lambda y, p, w: sk.log_loss(y, p, sample_weight=w)),
    ("roc_auc", lambda y, p, w: sk.roc_auc_score(y, p, multi_class="ovr", sample_weight=w)),
]
REGRESSION = [
    ("rmse", lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w)),
    ("mse", lambda y, p, w: sk.mean_squared_error(y, p, sample_weight=w)),
    ("mae", lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w)),
    ("r2", lambda y, p, w: sk.r2_score(y, p, sample_weight=w)),
]


@pytest.mark.parametrize(("name", "oracle"), CLASSIFICATION)
def test_weighted_classification_is_scikit_learns(name: str, oracle: Any) -> None:
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 3, 80), rng.dirichlet([1, 1, 1], 80)
    weights = rng.uniform(0, 3, 80)
    found = measure([Component(name=name)], "classification", y, p, 3, weights)[name]
    assert found == pytest.approx(oracle(y, p, weights))
    counts = rng.integers(0, 3, 80)
    repeated = np.repeat(np.arange(80), counts)
    one = measure([Component(name=name)], "classification", y, p, 3, counts.astype(float))[name]
    other = measure([Component(name=name)], "classification", y[repeated], p[repeated], 3)[name]
    assert one == pytest.approx(other)


@pytest.mark.parametrize(("name", "oracle"), REGRESSION)
def test_weighted_regression_is_scikit_learns(name: str, oracle: Any) -> None:
    rng = np.random.default_rng(1)
    y, p, weights = rng.normal(size=50), rng.normal(size=50), rng.uniform(0, 3, 50)
    found = measure([Component(name=name)], "regression", y, p, 0, weights)[name]
    assert found == pytest.approx(oracle(y, p, weights))


@pytest.mark.parametrize(
    ("column", "changes", "message"),
    [
        (
            lambda t: t.assign(w="many"),
            {},
            "the weights column 'w' must hold numbers of at least 0, but row 1",
        ),
        (lambda t: t.assign(w=-1.0), {}, "row 1 of table.csv has '-1.0'"),
        (lambda t: t.assign(w=np.inf), {}, "has 'inf'"),
        (lambda t: t.assign(w=0.0), {}, "all weights in column 'w' are 0"),
        (lambda t: t.assign(w=np.where(t.index == 4, np.nan, 1.0)), {}, "row 5 of table.csv"),
        (lambda t: t, {"weights": "v"}, "column 'v' does not exist"),
        (lambda t: t, {"weights": "y"}, "'y' is already listed in data.target"),
        (lambda t: t, {"drop": ["w"]}, "'w' is already listed in data.weights"),
    ],
)
def test_what_cannot_be_weights_is_told(
    tmp_path: Path, column: Any, changes: dict[str, Any], message: str
) -> None:
    found = store(tmp_path, column(frame()), **changes)
    with pytest.raises(DataError) as caught:
        _ = found.split
    assert message in str(caught.value)


def test_a_part_in_which_no_row_counts_is_told(tmp_path: Path) -> None:
    table = frame().assign(fold=np.arange(90) % 3)
    table["w"] = np.where(table["fold"] == 1, 0, table["w"] + 1)
    table.to_csv(tmp_path / "table.csv", index=False)
    found = FoldStore(
        DataSettings(**SETTINGS), ValidationSettings(column="fold"), Workspace(tmp_path)
    )
    with pytest.raises(DataError, match="no row of the validation part of fold 1 has a weight"):
        _ = found.split


def test_a_training_of_the_users_own_weighs_its_rows_itself() -> None:
    text = (
        "data: {source: table.csv, target: y, weights: w}\ntrain: 'my.py:fit'\n"
        "objective: {maximize: accuracy}\n"
    )
    with pytest.raises(StudyFileError, match="Weight the rows in your function"):
        StudyFile.from_text(text, "a.yaml")
