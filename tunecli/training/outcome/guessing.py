"""Predictions that ignore the features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunecli.data.rows.dataset import Dataset


def guesses(
    dataset: Dataset, y_train: NDArray[np.generic], n: int, weights: NDArray[np.float64] | None
) -> NDArray[np.floating]:
    """Return the training part's class shares, (n, n_classes), or its mean target, (n,)."""
    if dataset.task == "classification":
        counts = np.bincount(y_train.astype(np.int64), weights, minlength=len(dataset.classes))
        return np.tile(counts / counts.sum(), (n, 1))
    return np.full(n, np.average(y_train.astype(np.float64), weights=weights))
