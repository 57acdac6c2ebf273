"""Check before the first trial that the metrics of a study are defined on its folds.

Like `worker.py`, which calls it, this module imports torch and is not part of the driver.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.fold_store import FoldStore
from tunecli.errors import UserCodeError
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.metric_names import label, prediction_metrics
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.study_file.study_file import Study
from tunecli.study_file.text.document import Path
from tunecli.training.outcome import metrics
from tunecli.training.outcome.guessing import guesses
from tunecli.training.outcome.score_guard import NoScoreError, float_of

Rows = tuple[str, Tensor]
"""The name of a part of the rows, and the row numbers."""


def refuse_what_cannot_be_measured(study: Study, config: TrialConfig, store: FoldStore) -> None:
    """Refuse objectives and limits that cannot have a value in any trial.

    Args:
        study: a completed study file.
        config: the configuration of any trial of the study.

    Raises:
        StudyFileError: there are such objectives or limits; each is listed with its line.
    """
    mistakes = [] if config.train is not None else [*_mistakes(config, store)]
    if mistakes:
        raise study.error(mistakes)


def _mistakes(config: TrialConfig, store: FoldStore) -> Iterator[tuple[Path, str]]:
    advice = "Validate on other rows, or choose another metric."
    several = len(config.objectives) > 1
    for index, one in enumerate(config.objectives):
        path: Path = ("objective", *((index,) if several else ()), one.direction)
        why = _undefined(one.metric, _validation(store), store) or _constant(one.metric, store)
        if why:
            yield path, f"{label(one.metric)} cannot rank trials: {why}. {advice}"
    for limit in config.constraints:
        if why := _undefined(limit.metric, _validation(store), store):
            message = f"no trial can meet this limit: {why}. {advice}"
            yield ("constraints", limit.metric.name), message


def measuring_notes(config: TrialConfig, store: FoldStore) -> list[str]:
    """Return a sentence on each metric that is not defined on some rows of the study."""
    notes: list[str] = []
    if config.train is not None:  # the user's training measures by itself
        return notes
    for metric in prediction_metrics(config):
        if is_code(metric.name):
            why = _no_guess(metric, store)
            name = label(metric)
            notes += [f"{name} has no finite value for a constant guess: {why}."] if why else []
            continue
        for parts in (_validation(store), [("the test set", store.split.test_rows)]):
            if why := _undefined(metric, parts, store):
                notes.append(f"{label(metric)} is not defined everywhere: {why}.")
    return notes


def _validation(store: FoldStore) -> list[Rows]:
    folds = store.split.folds
    return [(f"the validation part of fold {n}", valid) for n, (_, valid) in enumerate(folds)]


def _undefined(metric: Component, parts: list[Rows], store: FoldStore) -> str:
    """Return the first part where a metric is not defined, and why; empty if there is none."""
    data = store.dataset
    for name, rows in parts:
        weights = data.weights_of(rows)
        why = metrics.why_undefined(metric, _targets(store, rows), data.classes, weights)
        if why and len(rows):
            return f"in {name} {why}"
    return ""


def _constant(metric: Component, store: FoldStore) -> str:
    """Return why a metric is the same for all predictions in every fold; empty if it is not."""
    data = store.dataset
    reasons = [
        metrics.constant(metric, _targets(store, rows), data.classes, data.weights_of(rows))
        for _, rows in _validation(store)
    ]
    return f"in the validation part of every fold {reasons[0]}" if all(reasons) else ""


def _targets(store: FoldStore, rows: Tensor) -> NDArray[np.generic]:
    targets: NDArray[np.generic] = store.dataset.y[rows].numpy()
    return targets


def _no_guess(metric: Component, store: FoldStore) -> str:
    """Return why the user's metric is not finite for a constant guess in any fold, or empty."""
    reasons = [_of_guess(metric, store, *pair) for pair in store.split.folds]
    return f"{reasons[0]}, in every fold" if all(reasons) else ""


def _of_guess(metric: Component, store: FoldStore, train_rows: Tensor, valid_rows: Tensor) -> str:
    data = store.dataset
    y_train, y_valid = _targets(store, train_rows), _targets(store, valid_rows)
    guessed = guesses(data, y_train, len(y_valid), data.weights_of(train_rows))
    name = label(metric)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = metrics.measure([metric], data.task, y_valid, guessed, len(data.classes))
        value = float_of(values[name], name)
    except (UserCodeError, NoScoreError) as error:
        return str(error).removeprefix("error: ")
    return "" if math.isfinite(value) else f"it is {value}"
