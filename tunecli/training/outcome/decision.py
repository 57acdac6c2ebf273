"""Decide which class a model predicts: the most probable one, or, of two, by a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.study_file.settings.settings import Component, Task
from tunecli.training.outcome.metrics import measure

OF_PREDICTED_CLASS = frozenset(
    {
        *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "fbeta"),
        *("mcc", "cohen_kappa", "top_k_accuracy"),
    }
)
"""Metrics of the predicted classes; all others are metrics of the probabilities."""


@dataclass(frozen=True)
class Decision:
    """Predict one of two classes from a threshold on.

    Attributes:
        positive: index of that class, 0 or 1.
        threshold: the smallest of its probabilities at which it is predicted.
    """

    positive: int
    threshold: float

    def classes(self, probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return class indices, (n,), from probabilities (n, 2)."""
        # In 64 bits: in 32, a threshold halfway between two probabilities can become one of them.
        is_reached = probabilities[:, self.positive].astype(np.float64) >= self.threshold
        return np.where(is_reached, self.positive, 1 - self.positive)


def predicted_classes(
    probabilities: NDArray[np.floating], decision: Decision | None
) -> NDArray[np.int64]:
    """Return class indices, (n,); without a decision the most probable, the first of equals."""
    return probabilities.argmax(1) if decision is None else decision.classes(probabilities)


def measure_decided(
    metrics: Sequence[Component],
    task: Task,
    y_true: NDArray[np.generic],
    predictions: NDArray[np.floating],
    n_classes: int,
    weights: NDArray[np.float64] | None,
    positive: int | None,
    decision: Decision | None,
) -> dict[str, float]:
    """Measure as `metrics.measure` does, with classes that are predicted by a decision."""
    decided = [m for m in metrics if decision is not None and m.name in OF_PREDICTED_CLASS]
    others = [metric for metric in metrics if metric not in decided]
    scores = measure(others, task, y_true, predictions, n_classes, weights, positive)
    if not decided:
        return scores
    certain = np.eye(n_classes)[predicted_classes(predictions, decision)]
    certain = np.where(np.isfinite(predictions), certain, np.nan)  # then no metric is defined
    return scores | measure(decided, task, y_true, certain, n_classes, weights, positive)
