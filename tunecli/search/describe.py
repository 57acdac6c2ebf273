"""What the data is, and how well a guess does on it: what a user sees before the first trial."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from tunecli.data.dataset import Dataset
from tunecli.data.fold_store import FoldStore
from tunecli.data.folds import n_fits, validation_in_words
from tunecli.data.summary import DataSummary
from tunecli.study_file.settings import TrialConfig
from tunecli.training.metrics import measure

FEW_ROWS = 5
"""A class with fewer rows than this in a validation part gets a note."""


def describe(config: TrialConfig, store: FoldStore | None = None) -> DataSummary:
    """Describe a study's data.

    Args:
        config: any trial of the study; data, validation, objective and metrics are read.
        store: the process's store of the same data; without one the data is loaded.

    Raises:
        DataError: if the data cannot be read or split.
    """
    store = store or FoldStore(config.data, config.validation)
    dataset, split = store.dataset, store.split
    counts = _class_counts(dataset, store)
    return DataSummary(
        source=config.data.source,
        task=dataset.task,
        n_rows=len(dataset.y),
        n_search=len(split.search_rows),
        n_test=len(split.test_rows),
        shape=dataset.shape,
        classes=tuple(dataset.classes),
        class_counts=counts,
        n_folds=n_fits(config.validation),
        validation=validation_in_words(config.validation, dataset.task == "classification"),
        guess=_guess(config, store),
        fingerprint=fingerprint(dataset),
        notes=_notes(dataset.classes, counts, _valid_share(config)),
    )


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of shape, type and bytes of features and targets, in hexadecimal."""
    digest = hashlib.sha256()
    for tensor in (dataset.x, dataset.y):
        array = np.ascontiguousarray(tensor.numpy())
        digest.update(f"{array.shape} {array.dtype.str};".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _guess(config: TrialConfig, store: FoldStore) -> dict[str, float]:
    """Mean over folds of each metric, without those that a constant guess cannot have."""
    metrics = [config.objective.metric, *config.metrics]
    dataset = store.dataset
    scores: list[dict[str, float]] = []
    for train_rows, valid_rows in store.split.folds:
        y_train, y_valid = dataset.y[train_rows].numpy(), dataset.y[valid_rows].numpy()
        guesses = _guesses(dataset, y_train, len(y_valid))
        scores.append(measure(metrics, dataset.task, y_valid, guesses, len(dataset.classes)))
    means = {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}
    return {name: mean for name, mean in means.items() if math.isfinite(mean)}


def _guesses(dataset: Dataset, y_train: NDArray[np.generic], n: int) -> NDArray[np.floating]:
    """The training part's class shares, (n, n_classes), or its mean, (n,)."""
    nothing = np.zeros((len(y_train), 1))
    if dataset.task == "classification":
        guesser = DummyClassifier(strategy="prior").fit(nothing, y_train)
        shares: NDArray[np.floating] = guesser.predict_proba(np.zeros((n, 1)))
        return shares
    mean: NDArray[np.floating] = DummyRegressor().fit(nothing, y_train).predict(np.zeros((n, 1)))
    return mean


def _class_counts(dataset: Dataset, store: FoldStore) -> tuple[int, ...]:
    """Search rows of each class; empty for regression."""
    if dataset.task == "regression":
        return ()
    labels = dataset.y[store.split.search_rows].numpy()
    return tuple(int(n) for n in np.bincount(labels, minlength=len(dataset.classes)))


def _valid_share(config: TrialConfig) -> float:
    """Of the search rows, in each validation part."""
    validation = config.validation
    return 1 / validation.folds if validation.folds else validation.holdout or 0.0


def _notes(classes: Sequence[str], counts: Sequence[int], valid_share: float) -> tuple[str, ...]:
    """Sentences on classes so small that their validation rows say little."""
    return tuple(
        f"Class {name!r} has {count} rows to search on, about {count * valid_share:.0f} in each "
        "validation part: its scores will be noisy."
        for name, count in zip(classes, counts, strict=True)
        if count * valid_share < FEW_ROWS
    )
