"""Out-of-fold predictions whose true probabilities are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from tunecli.model_folder.adjust.held_out import HeldOut


def planted(
    seed: int = 0,
    n: int = 1000,
    n_classes: int = 2,
    sharpness: float = 1.0,
    n_folds: int = 5,
    repeats: int = 1,
    shift: float = 0.0,
    weights: NDArray[np.float64] | None = None,
) -> HeldOut:
    """Predictions at the inverse of temperature `sharpness`; at 1 they are calibrated.

    Args:
        shift: added to the second class's output; -4 makes it rare.
        weights: weight of each of the `n` rows.
    """
    rng = np.random.default_rng(seed)
    outputs = 1.5 * rng.normal(size=(n, n_classes))
    outputs[:, 1] += shift
    y = (softmax(outputs, axis=1).cumsum(1) < rng.random((n, 1))).sum(1)
    predicted = softmax(sharpness * outputs, axis=1).astype(np.float32)
    folds = [rng.permutation(n) % n_folds + repeat * n_folds for repeat in range(repeats)]
    return HeldOut(
        np.tile(np.arange(n), repeats),
        np.concatenate(folds),
        np.tile(y, repeats),
        np.tile(predicted, (repeats, 1)),
        None if weights is None else np.tile(weights, repeats),
    )
