"""What untuned models of scikit-learn reach on a study's folds: what a tuned network must beat.

They are fitted with their defaults on the training part of each fold alone, and scored on its
validation part by the metrics of the study. Each takes seconds: of many rows a part is drawn, and
what would take longer even so is left out, which a note says.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from tunecli.data.fold_store import FoldStore
from tunecli.data.loaded_rows import LoadedRows
from tunecli.study_file.counts import count
from tunecli.study_file.metrics import METRICS, label, measured
from tunecli.study_file.settings import Component, Task, TrialConfig
from tunecli.study_file.user_code import is_code
from tunecli.training.evaluation import Baseline
from tunecli.training.finite import NoScoreError, finite, mean, number
from tunecli.training.metrics import measure
from tunecli.training.random_state import fold_seed
from tunecli.training.untuned_models import MODELS, Guess, UntunedModel

MOST_FEATURES = 1024
"""Of a row: a table, or a picture of 32 × 32 pixels."""

SECONDS = 30.0
"""That a model may take, as far as that can be told before."""

LEAST_SHARE = 0.25
"""Of the rows; a model that has time for fewer says little."""


class NoBaselineError(Exception):
    """A model is left out; the text says why."""


def fit_baseline(name: str, config: TrialConfig, store: FoldStore) -> Baseline:
    """Fit and score one of `evaluation.BASELINES` on every fold.

    The same study gives the same bits: on `training.threads` threads, with the seeds of its folds.

    Args:
        config: of any trial; seed, objective, metrics and threads are read.
        store: of the study's data.
    """
    start = time.perf_counter()
    try:
        with threadpool_limits(config.training.threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of convergence: it is taken as it is
            baseline = _scored(name, config, store)
    except (NoBaselineError, NoScoreError) as error:
        return Baseline(name, note=str(error))
    return replace(baseline, seconds=time.perf_counter() - start)


def _scored(name: str, config: TrialConfig, store: FoldStore) -> Baseline:
    model, task = MODELS[name], store.dataset.task
    metrics = _measurable(config, task)
    n_largest = max(len(train) for train, _ in store.split.folds)
    n_rows = _affordable(model, store, n_largest)
    found = []
    for fold, (_, valid_rows) in enumerate(store.split.folds):
        predicted = _predictions(model, store, fold, n_rows, fold_seed(config.seed, fold))
        y = store.dataset.y[valid_rows].numpy()
        weights = store.dataset.weights_of(valid_rows)
        values = measure(metrics, task, y, predicted, len(store.dataset.classes), weights)
        found.append({name: number(value, name) for name, value in values.items()})
    objective = label(config.objective.metric)
    scores = tuple(finite(values.pop(objective), objective) for values in found)
    means = {name: mean(values[name] for values in found) for name in found[0]}
    return Baseline(
        name,
        scores,
        metrics={name: value for name, value in means.items() if math.isfinite(value)},
        note=f"on {count(n_rows, 'row')}" if n_rows < n_largest else "",
    )


def _measurable(config: TrialConfig, task: Task) -> Sequence[Component]:
    """The objective and the other metrics, but for those that only a user's training knows."""
    objective = config.objective.metric
    known = [
        metric
        for metric in measured(config)
        if is_code(metric.name) or (metric.name in METRICS and METRICS[metric.name].task == task)
    ]
    if objective not in known:
        raise NoBaselineError(f"only the training itself knows {label(objective)}")
    return known


def _affordable(model: UntunedModel, store: FoldStore, n_rows: int) -> int:
    """How many of `n_rows` training rows there is time for.

    Raises:
        NoBaselineError: too few of them, or they are too large.
    """
    if isinstance(store.dataset.x, LoadedRows) and not isinstance(model, Guess):
        raise NoBaselineError("rows are loaded batch by batch")
    n_features = model.n_features(store)
    if n_features > MOST_FEATURES:
        raise NoBaselineError(f"{n_features:,} features are more than {MOST_FEATURES:,}")
    at_least, of_a_row = model.seconds(store, n_rows)
    left = SECONDS / len(store.split.folds) - at_least
    affordable = n_rows if n_rows * of_a_row <= left else int(left / of_a_row)
    if affordable < LEAST_SHARE * n_rows:
        raise NoBaselineError("it would take minutes")
    return affordable


def _predictions(
    model: UntunedModel, store: FoldStore, fold: int, most_rows: int, seed: int
) -> NDArray[np.floating]:
    """For the validation part of a fold, as `measure` takes them."""
    train_rows, _ = store.split.folds[fold]
    seed = seed % 2**32  # as scikit-learn takes it
    drawn = _drawn(len(train_rows), most_rows, seed)
    x_train, x_valid = model.cells(store, fold, drawn)
    estimator = model.estimator(store, seed)
    rows = train_rows[drawn]
    weights = store.dataset.weights_of(rows)
    estimator.fit(x_train, store.dataset.y[rows].numpy(), sample_weight=weights)
    if store.dataset.task == "regression":
        values: NDArray[np.floating] = estimator.predict(x_valid)
        return values
    return _of_all_classes(estimator, x_valid, len(store.dataset.classes))


def _of_all_classes(estimator: Any, x: NDArray[np.float64], n: int) -> NDArray[np.floating]:
    """Probabilities (n_rows, n), 0 for classes that it was not shown."""
    probabilities = np.zeros((len(x), n))
    probabilities[:, estimator.classes_] = estimator.predict_proba(x)
    return probabilities


def _drawn(n: int, most: int, seed: int) -> Tensor:
    """Which of `n` rows it is fitted on: all, or `most` of them, ascending."""
    if n <= most:
        return torch.arange(n)
    return torch.from_numpy(np.sort(np.random.default_rng(seed).choice(n, most, replace=False)))
