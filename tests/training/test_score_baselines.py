"""Untuned models on a study's folds, against scikit-learn itself."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from locations import TESTS
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.dataset import Column, Dataset
from tunecli.data.rows.workspace import Workspace
from tunecli.study_file.settings.settings import DataSettings, TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training import score_baselines
from tunecli.training.outcome.evaluation import BASELINES, Baseline, BaselineLimit
from tunecli.training.score_baselines import expected_seconds, fit_baseline
from tunecli.training.state.random_state import fold_seed

TREES = "gradient-boosted trees"


def config(store: FoldStore, lines: str = "") -> TrialConfig:
    """Of a study on the data of a store."""
    text = f"data: digits\nmodel: Linear\noptimizer: AdamW\n{lines}"
    if store.dataset.task == "regression":
        text = text.replace("digits", "diabetes")
    study = StudyFile.from_text(text, "study.yaml")
    completed = study.completed(store.dataset.task, len(store.dataset.y))
    return completed.resolve(lambda name, range_: None)


def store_of(source: str, folds: int = 3, dataset: Dataset | None = None) -> FoldStore:
    study = StudyFile.from_text(
        f"data: {source}\nvalidation: {{folds: {folds}}}\nmodel: Linear\noptimizer: AdamW",
        "s.yaml",
    )
    return FoldStore(study.data, study.validation, dataset=dataset)


def test_classes_score_as_with_scikit_learn_alone() -> None:
    store = store_of("breast_cancer")
    x, y = load_breast_cancer(return_X_y=True)
    x = x.astype(np.float32)
    linear, trees = (
        fit_baseline(name, config(store, "metrics: [log_loss]"), store)
        for name in ("logistic regression", TREES)
    )
    losses = []
    for fold, (train, valid) in enumerate(store.split.folds):
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[train], y[train])
        assert linear.fold_scores[fold] == pytest.approx(model.score(x[valid], y[valid]))
        losses.append(log_loss(y[valid], model.predict_proba(x[valid])))
        seed = fold_seed(0, fold) % 2**32
        forest = HistGradientBoostingClassifier(random_state=seed).fit(x[train], y[train])
        assert trees.fold_scores[fold] == pytest.approx(forest.score(x[valid], y[valid]))
    assert linear.metrics == {"log_loss": pytest.approx(np.mean(losses), rel=1e-3)}
    assert linear.note == trees.note == ""
    assert linear.seconds > 0


def test_values_score_in_their_own_unit() -> None:
    store = store_of("diabetes")
    x, y = (part.astype(np.float32) for part in load_diabetes(return_X_y=True, scaled=False))
    mean, ridge, trees = (
        fit_baseline(name, config(store), store) for name in BASELINES["regression"]
    )
    for fold, (train, valid) in enumerate(store.split.folds):
        assert mean.fold_scores[fold] == pytest.approx(
            root_mean_squared_error(y[valid], np.full(len(valid), y[train].mean())), rel=1e-5
        )
        model = make_pipeline(StandardScaler(), Ridge()).fit(x[train], y[train])
        error = root_mean_squared_error(y[valid], model.predict(x[valid]))
        assert ridge.fold_scores[fold] == pytest.approx(error, rel=1e-4)
        forest = HistGradientBoostingRegressor().fit(x[train], y[train])
        error = root_mean_squared_error(y[valid], forest.predict(x[valid]))
        assert trees.fold_scores[fold] == pytest.approx(error, rel=1e-4)


@pytest.fixture
def table(tmp_path: Path) -> FoldStore:
    """Numbers with holes, and a category that decides much."""
    random = np.random.default_rng(0)
    town = random.choice(["Rome", "Oslo", "Lima"], 300)
    size = random.normal(size=300)
    y = np.where((size > 0) ^ (town == "Oslo"), "yes", "no")
    frame = pd.DataFrame({"town": town, "size": size, "noise": random.normal(size=300), "y": y})
    frame.loc[::7, "size"] = np.nan
    frame.to_csv(tmp_path / "table.csv", index=False)
    settings = DataSettings(source="table.csv", target="y", test=0)
    validation = store_of("iris").validation
    return FoldStore(settings, validation, Workspace(tmp_path))


def test_holes_and_categories_are_given_to_trees_as_they_are(table: FoldStore) -> None:
    frame = pd.read_csv(table.workspace.folder / "table.csv")
    x, y = frame[["town", "size", "noise"]].copy(), frame["y"]
    x["town"] = x["town"].astype("category")
    encoder = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["size", "noise"]),
        (MissingIndicator(), ["size"]),
        (OneHotEncoder(), ["town"]),
    )
    linear, trees = (
        fit_baseline(name, config(table), table) for name in ("logistic regression", TREES)
    )
    for fold, (train, valid) in enumerate(table.split.folds):
        forest = HistGradientBoostingClassifier(categorical_features="from_dtype")
        forest.fit(x.iloc[train], y.iloc[train])
        assert trees.fold_scores[fold] == forest.score(x.iloc[valid], y.iloc[valid])
        model = make_pipeline(encoder, LogisticRegression()).fit(x.iloc[train], y.iloc[train])
        assert linear.fold_scores[fold] == model.score(x.iloc[valid], y.iloc[valid])
    assert min(trees.fold_scores) > max(linear.fold_scores)


@pytest.mark.parametrize("name", BASELINES["classification"])
def test_rows_that_validate_have_no_part_in_the_fit(name: str, table: FoldStore) -> None:
    """Whatever the other rows of the validation part hold, a row is predicted alike."""
    marks = torch.zeros(300, dtype=torch.int64)
    marks[100:] = -1
    given = replace(table.dataset, given_folds=marks, copies=None, known_fingerprint="")
    validation = table.validation.model_copy(update={"folds": None})

    def score(x: torch.Tensor) -> Baseline:
        changed = replace(given, x=x)
        store = FoldStore(table.settings, validation, dataset=changed)
        return fit_baseline(name, config(store, "objective: {minimize: log_loss}"), store)

    # The mean loss of two halves of the part, each scored beside rows that were made strange.
    x = table.dataset.x
    strange = torch.full_like(x[:50], 1e6)
    whole = score(x).fold_scores[0]
    first = score(torch.cat([x[:50], strange, x[100:]])).fold_scores[0]
    second = score(torch.cat([strange, x[50:]])).fold_scores[0]
    both = score(torch.cat([strange, strange, x[100:]])).fold_scores[0]
    assert first + second - both == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("name", ["logistic regression", TREES])
def test_two_fits_have_the_same_bits(name: str) -> None:
    one, two = (
        fit_baseline(name, config(store, "objective: {minimize: log_loss}"), store)
        for store in (store_of("wine"), store_of("wine"))
    )
    assert one.fold_scores == two.fold_scores


_ALONE = """
import sys
sys.path.append(sys.argv[1])
from test_score_baselines import *
store = store_of("digits")
for name in BASELINES["classification"]:
    print(fit_baseline(name, config(store, "objective: {minimize: log_loss}"), store).fold_scores)
"""


@pytest.mark.slow
def test_two_processes_give_the_same_bits() -> None:
    words = [sys.executable, "-c", _ALONE, str(TESTS)]
    here = Path(__file__).parent
    one, two = (
        subprocess.run(words, cwd=here, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert one == two
    assert one.count("(") == 3


def test_of_many_rows_a_part_is_drawn() -> None:
    store = store_of("digits")
    limit = 3 * 1e-7 * 64 * 10 * 700.5  # time for 700 rows
    given = BaselineLimit(limit)
    part, again = (
        fit_baseline("logistic regression", config(store), store, given) for _ in range(2)
    )
    assert part.note == "on 700 rows of 958"
    assert 0.9 < np.mean(part.fold_scores) < 1
    assert part.fold_scores == again.fold_scores
    assert expected_seconds("logistic regression", store, given) == pytest.approx(limit, rel=0.01)


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (BaselineLimit(0.5, 5.0), "a tenth of the estimated 5 s of the search"),
        (
            BaselineLimit(0.5),
            "the 0.5 s allowed where a search has neither an estimated time nor search.timeout",
        ),
    ],
)
def test_what_would_take_too_long_is_left_out_and_that_is_said(
    limit: BaselineLimit, why: str
) -> None:
    store = store_of("digits")
    takes = f"it would take about {expected_seconds(TREES, store, BaselineLimit()):.0f} s"
    expected = Baseline(TREES, note=f"{takes}, more than {why}")
    assert fit_baseline(TREES, config(store), store, limit) == expected
    assert expected_seconds(TREES, store, limit) == 0


def test_what_would_take_longer_than_any_search_allows_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = store_of("digits")
    monkeypatch.setattr(score_baselines, "MOST_BASELINE_SECONDS", 0.5)
    note = fit_baseline(TREES, config(store), store, BaselineLimit(0.5, 900.0)).note
    assert note.endswith(" s, more than the allowed 0.5 s")


def test_large_pictures_have_a_guess_only() -> None:
    x = torch.zeros(20, 3, 32, 32, dtype=torch.uint8)
    pictures = Dataset("pictures", "classification", x, torch.arange(20) % 2, ("a", "b"))
    store = store_of("digits", 2, pictures)
    guess, linear, trees = (
        fit_baseline(name, config(store), store) for name in BASELINES["classification"]
    )
    assert guess.fold_scores == (0.5, 0.5)
    assert linear.note == trees.note == "3,072 features exceed the limit of 1,024"
    assert linear.fold_scores == trees.fold_scores == ()


def test_a_class_that_training_lacks_has_no_probability() -> None:
    x = torch.randn(60, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = (x[:, 0] > 0).long()
    marks = torch.full((60,), -1)
    marks[:9] = 0
    y[[0, 20]] = 2  # which nothing can be learned of
    weights = torch.ones(60, dtype=torch.float64)
    weights[20] = 0
    data = Dataset(
        "d",
        "classification",
        x,
        y,
        ("a", "b", "c"),
        (Column("x"),),
        weights=weights,
        given_folds=marks,
    )
    validation = store_of("iris").validation.model_copy(update={"folds": None})
    store = FoldStore(DataSettings(source="iris", test=0), validation, dataset=data)
    for name in BASELINES["classification"]:
        found = fit_baseline(name, config(store, "metrics: [log_loss]"), store)
        assert found.fold_scores[0] <= 8 / 9
        assert found.metrics["log_loss"] > 36 / 9  # -log(2⁻⁵²) of one row in nine


def test_a_metric_that_is_not_defined_is_left_out_and_an_objective_makes_none() -> None:
    x = torch.arange(40, dtype=torch.float64)[:, None]
    marks = torch.full((40,), -1)
    marks[0] = 0
    data = Dataset(
        "d", "regression", x, x[:, 0].float(), columns=(Column("x"),), given_folds=marks
    )
    validation = store_of("iris").validation.model_copy(update={"folds": None})
    store = FoldStore(DataSettings(source="diabetes", test=0), validation, dataset=data)
    found = fit_baseline("ridge regression", config(store, "metrics: [r2, mae]"), store)
    assert set(found.metrics) == {"mae"}  # R² of one row is none
    assert found.fold_metrics == {"mae": (found.metrics["mae"],)}
    undefined = config(store, "objective: {maximize: r2}")
    assert fit_baseline("mean", undefined, store) == Baseline("mean", note="r2 is nan")
