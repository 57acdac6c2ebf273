from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error

from tunecli.data.fold_store import FoldStore
from tunecli.data.sources import load_dataset
from tunecli.search.workers.summarize_data import describe
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Objective,
    TrialConfig,
    ValidationSettings,
)


def config(
    source: str, metric: str, *others: str, folds: int = 5, test: float = 0.2
) -> TrialConfig:
    return TrialConfig(
        seed=0,
        data=DataSettings(source=source, test=test),
        validation=ValidationSettings(folds=folds),
        model=Component(name="Linear"),
        loss=Component(name="CrossEntropyLoss"),
        optimizer=Component(name="SGD"),
        objective=Objective(direction="maximize", metric=Component(name=metric)),
        metrics=tuple(Component(name=name) for name in others),
    )


def test_what_the_data_is() -> None:
    summary = describe(config("digits", "accuracy"))
    assert (summary.source, summary.task) == ("digits", "classification")
    assert (summary.n_rows, summary.n_search, summary.n_test) == (1797, 1437, 360)
    assert summary.shape == (1, 8, 8)
    assert summary.classes == tuple("0123456789")
    assert sum(summary.class_counts) == 1437
    assert (summary.n_folds, summary.validation) == (5, "5 stratified folds")
    assert summary.notes == ()


def test_regression_has_no_classes() -> None:
    summary = describe(config("diabetes", "rmse"))
    assert (summary.classes, summary.class_counts) == ((), ())
    assert (summary.n_rows, summary.shape) == (442, (10,))


def test_the_guess_of_a_classification_is_that_of_the_class_shares() -> None:
    study = config("wine", "accuracy", "log_loss", "f1", "roc_auc")
    guess = describe(study).guess
    store = FoldStore(study.data, study.validation)
    accuracies, losses = [], []
    for train_rows, valid_rows in store.split.folds:
        train, valid = store.dataset.y[train_rows].numpy(), store.dataset.y[valid_rows].numpy()
        shares = np.bincount(train) / len(train)
        accuracies.append(accuracy_score(valid, np.full(len(valid), shares.argmax())))
        losses.append(log_loss(valid, np.tile(shares, (len(valid), 1)), labels=[0, 1, 2]))
    assert guess["accuracy"] == pytest.approx(np.mean(accuracies))
    assert guess["log_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert guess["roc_auc"] == pytest.approx(0.5)
    assert 0 < guess["f1"] < guess["accuracy"]


def test_the_guess_of_a_regression_is_the_mean_of_the_training_part() -> None:
    study = config("diabetes", "rmse", "r2")
    guess = describe(study).guess
    store = FoldStore(study.data, study.validation)
    errors = [
        root_mean_squared_error(
            store.dataset.y[valid], torch.full((len(valid),), store.dataset.y[train].mean())
        )
        for train, valid in store.split.folds
    ]
    assert guess["rmse"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert guess["r2"] < 0


def test_small_classes_get_a_note() -> None:
    notes = describe(config("wine", "accuracy", folds=9)).notes
    assert notes == (
        "Class 'class_2' has 38 rows for the search, about 4 in each validation part: its scores "
        "will be noisy.",
    )


def test_the_store_of_the_process_is_used() -> None:
    study = config("iris", "accuracy")
    store = FoldStore(study.data, study.validation)
    assert describe(study, store) == describe(study)
    assert "dataset" in vars(store)


def test_the_fingerprint_follows_the_content_alone() -> None:
    iris = load_dataset(DataSettings(source="iris"))
    again = load_dataset(DataSettings(source="iris", test=0.5, split_seed=3))
    assert iris.fingerprint == again.fingerprint
    x, y = iris.x.clone(), iris.y.clone()
    x[7, 2] += 1e-4
    y[0] = 1
    changed = [
        dataclasses.replace(iris, x=x),
        dataclasses.replace(iris, y=y),
        dataclasses.replace(iris, x=iris.x.flip(0)),
        dataclasses.replace(iris, x=iris.x.reshape(150, 2, 2)),
        dataclasses.replace(iris, x=iris.x.view(torch.int32)),
    ]
    assert len({dataset.fingerprint for dataset in [iris, *changed]}) == 6
