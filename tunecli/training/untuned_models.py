"""The models that nobody tunes, as scikit-learn makes them: their features and their cost.

Each takes a fold's rows in the form that suits it: linear models what networks get, standardized
and one-hot, fitted on the training part; trees the cells as they were read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.features import as_features
from tunecli.study_file.settings.settings import Component

Cells = NDArray[np.float64]
"""(n_rows, n_features)."""

_LEAVES, _LEAST_ROWS_OF_A_LEAF = 31, 20  # of a tree, scikit-learn's defaults
_MOST_CATEGORIES = 255  # of a column, that its trees tell apart


class UntunedModel(Protocol):
    """One of `evaluation.BASELINES`."""

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """Scikit-learn's, not fitted yet."""

    def n_features(self, store: FoldStore) -> int:
        """Of a row as it takes it."""

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """The rows of the training part at the positions `drawn`, and the validation part."""

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """Roughly, of a fold with `n_rows` to train on: at least, and for each of these."""


class Guess:
    """The shares of the classes in the training part, or its mean."""

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """See `UntunedModel`."""
        return DummyClassifier(strategy="prior") if store.dataset.classes else DummyRegressor()

    def n_features(self, store: FoldStore) -> int:
        """It looks at none."""
        return 0

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """Rows without a cell."""
        return np.empty((len(drawn), 0)), np.empty((len(store.split.folds[fold][1]), 0))

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """See `UntunedModel`."""
        return 0.0, 0.0


class LinearBaseline:
    """Logistic or ridge regression."""

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """See `UntunedModel`."""
        return LogisticRegression() if store.dataset.classes else Ridge()

    def n_features(self, store: FoldStore) -> int:
        """After encoding."""
        return math.prod(self._folds(store)[0].shape)

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """See `UntunedModel`; float64, since solvers stop early in float32."""
        data = self._folds(store)[fold]
        parts = [(data.x_train, drawn), (data.x_valid, torch.arange(len(data.y_valid)))]
        blocks = (next(as_features(x).batches(rows, [len(rows)])) for x, rows in parts)
        train, valid = (block.flatten(1).numpy().astype(np.float64) for block in blocks)
        return train, valid

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """See `UntunedModel`."""
        return 0.0, 1e-7 * self.n_features(store) * _n_outputs(store.dataset)

    def _folds(self, store: FoldStore) -> Any:
        return store.folds(Component(name="standard"), standardize_target=False)


class Trees:
    """Gradient-boosted trees on histograms; they take missing cells and categories as they are.

    A round has a tree for each output. Where folds and classes are many, there are fewer rounds
    with larger steps: on the digits, the same accuracy in a third of the time.
    """

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """See `UntunedModel`."""
        columns = store.dataset.columns
        kind = HistGradientBoostingRegressor
        if store.dataset.classes:
            kind = HistGradientBoostingClassifier
        categories = [
            index
            for index, column in enumerate(columns)
            if column.kind == "categorical" and len(column.categories) <= _MOST_CATEGORIES
        ]
        n_rounds = self._n_rounds(store)
        return kind(
            learning_rate=10 / n_rounds,
            max_iter=n_rounds,
            categorical_features=categories or None,
            random_state=seed,
        )

    def _n_rounds(self, store: FoldStore) -> int:
        """Scikit-learn's 100 up to 2,000 trees in all, then fewer, but 30 at least."""
        n_of_a_round = len(store.split.folds) * _n_outputs(store.dataset)
        return max(30, min(100, 2_000 // n_of_a_round))

    def n_features(self, store: FoldStore) -> int:
        """As they were read."""
        return math.prod(store.dataset.shape)

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """See `UntunedModel`; NaN is missing, categories are codes."""
        train, valid = store.split.folds[fold]
        x = store.dataset.x
        assert isinstance(x, Tensor), "loaded rows are left out"
        parts = (x[rows].flatten(1).numpy().astype(np.float64) for rows in (train[drawn], valid))
        return next(parts), next(parts)

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """Measured: a split has its price, as have the bins that it looks at and their rows."""
        n_trees = self._n_rounds(store) * _n_outputs(store.dataset)
        n_features = self.n_features(store)
        n_splits = min(_LEAVES - 1, n_rows // _LEAST_ROWS_OF_A_LEAF)
        of_splits = n_splits * (8e-5 + 2.7e-7 * n_features)
        return n_trees * of_splits, n_trees * 8.5e-9 * n_features


def _n_outputs(dataset: Dataset) -> int:
    """Functions that are fitted: one for values and two classes, else one for each class."""
    n_classes = len(dataset.classes)
    return n_classes if n_classes > 2 else 1


MODELS: Mapping[str, UntunedModel] = {
    "commonest class": Guess(),
    "mean": Guess(),
    "logistic regression": LinearBaseline(),
    "ridge regression": LinearBaseline(),
    "gradient-boosted trees": Trees(),
}
"""By the names in `evaluation.BASELINES`."""
