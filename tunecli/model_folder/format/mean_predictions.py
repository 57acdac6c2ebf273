"""The mean of the predictions of several networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunecli.training.step.losses import Predictions


def mean_of(predictions: Sequence[Predictions], weights: Sequence[int]) -> Predictions:
    """Return the weighted mean, in their type; computed in 64 bits.

    Args:
        predictions: probabilities (n, n_classes), or values (n,), of each network.
        weights: how often each of them counts, 1 or more.
    """
    if len(predictions) == 1:
        return predictions[0]
    counts = np.array(weights, np.float64).reshape(-1, *[1] * predictions[0].ndim)
    total: Predictions = (np.stack(predictions) * counts).sum(axis=0)
    return (total / sum(weights)).astype(predictions[0].dtype)
