"""Untuned models of several targets, one per target, against scikit-learn itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.evaluation import BASELINES
from tunecli.training.score_baselines import fit_baseline

NAMES = ["a", "b", "c"]


def _study(folder: Path, y: np.ndarray) -> tuple[TrialConfig, FoldStore, np.ndarray]:
    x = np.random.default_rng(1).normal(size=(len(y), 4))
    frame = pd.DataFrame(x, columns=["x0", "x1", "x2", "x3"])
    frame[NAMES] = y + (0 if y.dtype.kind == "i" else x[:, :3])
    frame.to_csv(folder / "t.csv", index=False)
    text = (
        "data: {source: t.csv, targets: [a, b, c]}\nvalidation: {folds: 3}\n"
        "model: Linear\noptimizer: AdamW\n"
    )
    study = StudyFile.from_text(text, "s.yaml", (), folder)
    store = FoldStore(study.data, study.validation, Workspace(folder))
    dataset = store.dataset
    config = study.completed(dataset.task, len(dataset.y)).resolve(lambda name, range_: None)
    return config, FoldStore(config.data, config.validation, Workspace(folder), dataset=dataset), x


def test_a_logistic_regression_per_label(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    config, store, x = _study(tmp_path, (draws.random((150, 3)) < [0.5, 0.4, 0.6]).astype(int))
    baseline = fit_baseline("logistic regression", config, store)
    y = store.dataset.y.numpy()
    for (train, valid), score in zip(store.split.folds, baseline.fold_scores, strict=True):
        scale = StandardScaler().fit(x[train])
        predicted = np.column_stack(
            [
                LogisticRegression()
                .fit(scale.transform(x[train]), one)
                .predict(scale.transform(x[valid]))
                for one in y[train].T
            ]
        )
        assert score == pytest.approx(f1_score(y[valid], predicted, average="micro"))


def test_a_ridge_regression_per_value(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(150, 3)) * [0.1, 1, 10]
    config, store, x = _study(tmp_path, noise)
    baseline = fit_baseline("ridge regression", config, store)
    y = store.dataset.y.numpy()
    for (train, valid), score in zip(store.split.folds, baseline.fold_scores, strict=True):
        scale = StandardScaler().fit(x[train])
        model = Ridge().fit(scale.transform(x[train]), y[train])
        predicted = model.predict(scale.transform(x[valid]))
        errors = [
            root_mean_squared_error(a, b) for a, b in zip(y[valid].T, predicted.T, strict=True)
        ]
        assert score == pytest.approx(np.mean(errors), rel=1e-5)


def test_every_baseline_of_labels_has_a_score_even_if_a_label_is_constant(tmp_path: Path) -> None:
    y = (np.random.default_rng(0).random((150, 3)) < 0.4).astype(int)
    y[:, 2] = 0
    y[0, 2] = 1  # in one validation part, and thus absent from the training of its fold
    config, store, _ = _study(tmp_path, y)
    for name in BASELINES["multilabel"]:
        baseline = fit_baseline(name, config, store)
        assert len(baseline.fold_scores) == 3, baseline.note
