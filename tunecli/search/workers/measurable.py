"""What a study's metrics can measure on its folds, known before the first trial.

Like `worker.py`, which calls it, this is no part of the driver: it imports torch.
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
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.document import Path
from tunecli.training.outcome import metrics
from tunecli.training.outcome.guessing import guesses
from tunecli.training.outcome.score_guard import NoScoreError, float_of

Rows = tuple[str, Tensor]
"""What a part of the rows is called, and their numbers."""


def refuse_what_cannot_be_measured(
    study: StudyFile, config: TrialConfig, store: FoldStore
) -> None:
    """Refuse objectives and limits that no trial could have a value of.

    Args:
        study: completed.
        config: of any trial of it.

    Raises:
        StudyFileError: with each of them, at its line.
    """
    mistakes = [] if config.train is not None else [*_mistakes(config, store)]
    if mistakes:
        raise study.error(mistakes)


def _mistakes(config: TrialConfig, store: FoldStore) -> Iterator[tuple[Path, str]]:
    advice = "Let other rows validate, or take another metric."
    several = len(config.objectives) > 1
    for index, one in enumerate(config.objectives):
        place: Path = ("objective", *((index,) if several else ()), one.direction)
        why = _undefined(one.metric, _validation(store), store) or _constant(one.metric, store)
        if why:
            yield place, f"{label(one.metric)} cannot tell trials apart: {why}. {advice}"
    for limit in config.constraints:
        if why := _undefined(limit.metric, _validation(store), store):
            message = f"no trial can keep to this limit: {why}. {advice}"
            yield ("constraints", limit.metric.name), message


def measuring_notes(config: TrialConfig, store: FoldStore) -> list[str]:
    """Return a sentence on each metric that is not defined on some rows of the study."""
    found: list[str] = []
    if config.train is not None:  # which measures by itself
        return found
    for metric in prediction_metrics(config):
        if is_code(metric.name):
            why = _no_guess(metric, store)
            found += [f"{label(metric)} of a constant guess: {why}."] if why else []
            continue
        for parts in (_validation(store), [("the test set", store.split.test_rows)]):
            if why := _undefined(metric, parts, store):
                found.append(f"{label(metric)} is not defined everywhere: {why}.")
    return found


def _validation(store: FoldStore) -> list[Rows]:
    folds = store.split.folds
    return [(f"the validation part of fold {n}", valid) for n, (_, valid) in enumerate(folds)]


def _undefined(metric: Component, parts: list[Rows], store: FoldStore) -> str:
    """Where a metric is not defined first, and why; empty if it is defined in all parts."""
    data = store.dataset
    for name, rows in parts:
        weights = data.weights_of(rows)
        why = metrics.why_undefined(metric, _targets(store, rows), data.classes, weights)
        if why and len(rows):
            return f"in {name} {why}"
    return ""


def _constant(metric: Component, store: FoldStore) -> str:
    """Why a metric is the same for all predictions, if it is so in every fold."""
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
    """Why the user's metric has no finite value for a constant guess, if in no fold it has one."""
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
