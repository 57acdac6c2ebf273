"""The untuned scikit-learn models of the baselines: their features and their cost.

Each takes a fold's rows in a suitable form: linear models take the features of networks,
standardized and one-hot, fitted on the training part; trees take the cells as they were read.
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
"""Features of rows, (n_rows, n_features)."""

_LEAVES, _LEAST_ROWS_OF_A_LEAF = 31, 20  # per tree, scikit-learn's defaults
_MOST_CATEGORIES = 255  # per column, scikit-learn's limit


class UntunedModel(Protocol):
    """A baseline of `evaluation.BASELINES`."""

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """Return the scikit-learn estimator, not fitted yet."""

    def n_features(self, store: FoldStore) -> int:
        """Return the number of features per row that the model takes."""

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """Return the training rows at the positions `drawn`, and the validation rows."""

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """Estimate a fold's fit on `n_rows` rows in seconds: a fixed part, and a part per row."""


class Guess:
    """Predicts the training part's class shares, or its mean target."""

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """See `UntunedModel`."""
        return DummyClassifier(strategy="prior") if store.dataset.classes else DummyRegressor()

    def n_features(self, store: FoldStore) -> int:
        """Return 0: it uses no features."""
        return 0

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """Return rows without features."""
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
        """Return the number of features after encoding."""
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
    """Gradient-boosted trees on histograms, which handle missing cells and categories natively.

    A round fits one tree per output. With many folds and classes, there are fewer rounds with
    larger steps: on the digits, the same accuracy in a third of the time.
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
        """Return scikit-learn's 100, or fewer to limit all trees to 2,000, but at least 30."""
        n_per_round = len(store.split.folds) * _n_outputs(store.dataset)
        return max(30, min(100, 2_000 // n_per_round))

    def n_features(self, store: FoldStore) -> int:
        """Return the number of features as read."""
        return math.prod(store.dataset.shape)

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """See `UntunedModel`; NaN is missing, categories are codes."""
        train, valid = store.split.folds[fold]
        x = store.dataset.x
        assert isinstance(x, Tensor), "loaded rows have no trees"
        parts = (x[rows].flatten(1).numpy().astype(np.float64) for rows in (train[drawn], valid))
        return next(parts), next(parts)

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """See `UntunedModel`; from measured costs per split, per bin and per row."""
        n_trees = self._n_rounds(store) * _n_outputs(store.dataset)
        n_features = self.n_features(store)
        n_splits = min(_LEAVES - 1, n_rows // _LEAST_ROWS_OF_A_LEAF)
        for_splits = n_splits * (8e-5 + 2.7e-7 * n_features)
        return n_trees * for_splits, n_trees * 8.5e-9 * n_features


def _n_outputs(dataset: Dataset) -> int:
    """Return the number of fitted functions: one for values or two classes, else one per class."""
    n_classes = len(dataset.classes)
    return n_classes if n_classes > 2 else 1


MODELS: Mapping[str, UntunedModel] = {
    "commonest class": Guess(),
    "mean": Guess(),
    "logistic regression": LinearBaseline(),
    "ridge regression": LinearBaseline(),
    "gradient-boosted trees": Trees(),
}
"""The models by the names in `evaluation.BASELINES`."""
