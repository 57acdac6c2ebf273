"""Decide what a model predicts: the most probable class, or by a threshold, also per label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.study_file.settings.metric_names import label
from tunecli.study_file.settings.settings import Component, Task
from tunecli.training.outcome.evaluation import TargetScores
from tunecli.training.outcome.metrics import measure
from tunecli.training.outcome.score_guard import mean

PREVALENCE = "prevalence"
"""Name of the share of rows with a label, among the scores of this label."""

OF_PREDICTED_CLASS = frozenset(
    {
        *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "fbeta"),
        *("mcc", "cohen_kappa", "top_k_accuracy"),
        *("hamming", "subset_accuracy"),
    }
)
"""Metrics of the predicted classes or labels; all others are metrics of the probabilities."""


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

    def certain(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return 1 for the predicted class and 0 for the other, (n, 2)."""
        return np.eye(2)[self.classes(probabilities)]


@dataclass(frozen=True)
class LabelDecision:
    """Predict each label from a threshold of its own on.

    Attributes:
        thresholds: the smallest probability at which each label is predicted.
    """

    thresholds: tuple[float, ...]

    def labels(self, probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return 1 for the predicted labels, else 0, (n, n_labels)."""
        return (probabilities.astype(np.float64) >= self.thresholds).astype(np.int64)

    def certain(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return 1 for the predicted labels, else 0."""
        return self.labels(probabilities).astype(np.float64)


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
    decision: Decision | LabelDecision | None,
) -> dict[str, float]:
    """Measure as `metrics.measure` does, in its order, with what is predicted by a decision."""
    decided = [m for m in metrics if decision is not None and m.name in OF_PREDICTED_CLASS]
    others = [metric for metric in metrics if metric not in decided]
    scores = measure(others, task, y_true, predictions, n_classes, weights, positive)
    if decision is None or not decided:
        return scores
    certain = decision.certain(predictions)
    certain = np.where(np.isfinite(predictions), certain, np.nan)  # then no metric is defined
    scores |= measure(decided, task, y_true, certain, n_classes, weights, positive)
    return {label(metric): scores[label(metric)] for metric in metrics}


def measure_targets(
    names: Sequence[str],
    metrics: Sequence[Component],
    task: Task,
    y_true: NDArray[np.generic],
    predictions: NDArray[np.floating],
    weights: NDArray[np.float64] | None = None,
    decision: Decision | LabelDecision | None = None,
) -> TargetScores:
    """Measure each of several targets alone.

    Args:
        names: names of the targets.
        metrics: see `metric_names.target_metrics`.
        y_true, predictions: (n, n_targets), as for `metrics.measure`.
        weights: weight of each row, (n,); None for equal weights.

    Returns:
        Values by `metric_names.label`, of a label also its `PREVALENCE`.
    """
    thresholds = decision.thresholds if isinstance(decision, LabelDecision) else None
    scores = {}
    for number, name in enumerate(names):
        own = None if thresholds is None else LabelDecision((thresholds[number],))
        y, predicted = y_true[:, [number]], predictions[:, [number]]
        of_target = measure_decided(metrics, task, y, predicted, 0, weights, None, own)
        if task == "multilabel":
            share = float(np.average(y.astype(np.float64), weights=weights, axis=0)[0])
            of_target = {PREVALENCE: share, **of_target}
        scores[name] = of_target
    return scores


def mean_of_targets(of_folds: Sequence[TargetScores]) -> TargetScores:
    """Return the means over folds of the scores of each target; NaN if one is not finite."""
    return {
        name: {metric: mean(one[name][metric] for one in of_folds) for metric in scores}
        for name, scores in next(iter(of_folds), {}).items()
    }
