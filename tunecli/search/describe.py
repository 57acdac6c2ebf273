"""What the data is, and how well a guess does on it: what a user sees before the first trial."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from tunecli.data.column_facts import ColumnFacts, with_uses
from tunecli.data.copies import copy_notes
from tunecli.data.dataset import Dataset
from tunecli.data.fold_store import FoldStore
from tunecli.data.folds import left_out, validation_in_words
from tunecli.data.kept_sets import kept_split
from tunecli.data.summary import DataSummary
from tunecli.data.tables import column_facts
from tunecli.search.measurable import measuring_notes
from tunecli.study_file.counts import count
from tunecli.study_file.metrics import measured
from tunecli.study_file.settings import TrialConfig
from tunecli.study_file.user_code import is_code
from tunecli.training.fold_data import takes_integers
from tunecli.training.guessing import guesses
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
    kinds = Counter("date" if c.date else c.kind for c in dataset.columns if c.is_first)
    return DataSummary(
        source=config.data.source,
        task=dataset.task,
        n_rows=len(dataset.y),
        n_search=len(split.search_rows),
        n_test=len(split.test_rows),
        shape=dataset.shape,
        classes=tuple(dataset.classes),
        class_counts=counts,
        n_folds=len(split.folds),
        validation=validation_in_words(config.validation, dataset),
        guess=_guess(config, store),
        fingerprint=dataset.fingerprint,
        notes=(
            *dataset.notes,
            *_left_out(config, store),
            *_on_whole_numbers(config, dataset),
            *copy_notes(dataset, split),
            *_notes(dataset, store, counts),
            *measuring_notes(config, store),
        ),
        given=dataset.given,
        target=dataset.target,
        n_numeric=kinds["numeric"],
        n_categorical=kinds["categorical"],
        n_dates=kinds["date"],
        n_features=_n_features(config, store),
        n_missing=_n_missing(dataset),
        first_fingerprint=dataset.first_fingerprint,
    )


def described_columns(config: TrialConfig, store: FoldStore) -> tuple[ColumnFacts, ...]:
    """Describe the columns of a table, and what becomes of them in the first fold.

    Args:
        config: any trial of the study; data and validation are read.
    """
    facts = column_facts(config.data, config.validation, store.workspace)
    return with_uses(facts, store.dataset, store.split.folds[0][0], config.data)


def _on_whole_numbers(config: TrialConfig, dataset: Dataset) -> list[str]:
    """A note on features that are not scaled, nor made fractions."""
    is_whole = dataset.x.dtype == torch.int64 and config.data.scale is None
    if not (is_whole and takes_integers(config)):
        return []
    return ["Your own code gets the features as they are: whole numbers (int64)."]


def _left_out(config: TrialConfig, store: FoldStore) -> list[str]:
    """A note on rows that groups and times together leave out."""
    dataset = store.dataset
    if dataset.times is None or dataset.groups is None:
        return []
    whole = kept_split(dataset, config.data, config.validation, store.workspace.cache)
    return left_out(dataset, whole, config.validation)


def _n_missing(dataset: Dataset) -> int:
    """Cells of a table that are empty."""
    if not dataset.columns:
        return 0
    assert isinstance(dataset.x, torch.Tensor), "loaded rows have no columns"
    are_first = torch.tensor([column.is_first for column in dataset.columns])
    return int(dataset.x[:, are_first].isnan().sum())


def _n_features(config: TrialConfig, store: FoldStore) -> int:
    """Of a row of a table as a model gets it, one-hot; 0 for pictures."""
    if not store.dataset.columns:
        return 0
    fold = store.folds(config.data.scale, standardize_target=False)[0]
    return fold.shape[0]


def _guess(config: TrialConfig, store: FoldStore) -> dict[str, float]:
    """Mean over folds of each metric, without those that a constant guess cannot have."""
    metrics = [m for m in measured(config) if not is_code(m.name)]  # they may not take a guess
    dataset = store.dataset
    scores: list[dict[str, float]] = []
    for train_rows, valid_rows in store.split.folds:
        y_train, y_valid = dataset.y[train_rows].numpy(), dataset.y[valid_rows].numpy()
        guessed = guesses(dataset, y_train, len(y_valid), dataset.weights_of(train_rows))
        weights = dataset.weights_of(valid_rows)
        scores.append(
            measure(metrics, dataset.task, y_valid, guessed, len(dataset.classes), weights)
        )
    means = {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}
    return {name: mean for name, mean in means.items() if math.isfinite(mean)}


def _class_counts(dataset: Dataset, store: FoldStore) -> tuple[int, ...]:
    """Search rows of each class; empty for regression."""
    if dataset.task == "regression":
        return ()
    labels = dataset.y[store.split.search_rows].numpy()
    return tuple(int(n) for n in np.bincount(labels, minlength=len(dataset.classes)))


def _notes(dataset: Dataset, store: FoldStore, counts: Sequence[int]) -> list[str]:
    """Sentences on classes so small that their validation rows say little, or nothing."""
    if dataset.task == "regression":
        return []
    parts = [
        np.bincount(dataset.y[rows].numpy(), minlength=len(dataset.classes))
        for pair in store.split.folds
        for rows in pair
    ]
    train, valid = np.array(parts[0::2]), np.array(parts[1::2])
    notes = []
    for label, name in enumerate(dataset.classes):
        mean = valid[:, label].mean()
        if (train[:, label] == 0).any():
            notes.append(f"Class {name!r} has no row to train on in some fold.")
        elif (valid[:, label] == 0).any():
            notes.append(f"Class {name!r} has no row to validate on in some fold.")
        elif mean < FEW_ROWS:
            notes.append(
                f"Class {name!r} has {count(counts[label], 'row')} to search on, about {mean:.0f} "
                "in each validation part: its scores will be noisy."
            )
    return notes
