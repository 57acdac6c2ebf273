"""Choose the threshold that is best for a metric, as scikit-learn's TunedThresholdClassifierCV.

A threshold is judged by the four numbers of the confusion matrix alone, so that hundreds of
thresholds cost little however many rows there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.model_folder.adjust.held_out import HeldOut
from tunecli.study_file.settings.metric_names import METRICS, label
from tunecli.study_file.settings.settings import Component, Direction, TrialConfig
from tunecli.training.outcome.adjustment import OperatingPoint
from tunecli.training.outcome.decision import Decision, measure_decided
from tunecli.training.outcome.metrics import measure

CHOOSING = frozenset({"accuracy", "balanced_accuracy", "f1", "fbeta", "mcc", "cohen_kappa"})
"""Metrics that choose a threshold. Precision and recall do not: both are best at an extreme."""
MOST_THRESHOLDS = 1000
"""Largest number of thresholds to compare; if there are more, evenly spaced ones."""
HALF = 0.5
_RECALLS = (0.95, 0.9, 0.75, 0.5, 0.25)
_CURVE_POINTS = 100

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ChoosingMetric:
    """The metric that a threshold is chosen by."""

    metric: Component
    direction: Direction

    @property
    def name(self) -> str:
        """The name that its values are stored under."""
        return label(self.metric)

    @property
    def sign(self) -> float:
        """1 if larger is better, else -1."""
        return 1.0 if self.direction == "maximize" else -1.0


def choosing_metric(config: TrialConfig) -> ChoosingMetric | None:
    """Return the first objective, else the first shown metric, that chooses a threshold."""
    wanted = [(one.metric, one.direction) for one in config.objectives]
    wanted += [(m, METRICS[m.name].direction) for m in config.metrics if m.name in METRICS]
    return next((ChoosingMetric(*one) for one in wanted if one[0].name in CHOOSING), None)


@dataclass(frozen=True)
class ThresholdTable:
    """The rows of each class on either side of any threshold.

    Attributes:
        positive: index of the positive class.
        scores: distinct probabilities of this class, ascending, (m,).
        above: weight of the rows from each of `scores` on, and of none: negatives and positives,
            (m + 1, 2).
    """

    positive: int
    scores: Floats
    above: Floats

    @classmethod
    def of(cls, held_out: HeldOut, positive: int) -> ThresholdTable:
        """Count the rows of out-of-fold predictions of two classes."""
        given = held_out.probabilities[:, positive].astype(np.float64)
        scores, places = np.unique(given, return_inverse=True)
        cells = 2 * places + (held_out.y == positive)
        counts = np.bincount(cells, held_out.weights, minlength=2 * len(scores)).reshape(-1, 2)
        from_above = counts[::-1].cumsum(0)[::-1]
        return cls(positive, scores, np.vstack([from_above, np.zeros((1, 2))]).astype(np.float64))

    def thresholds(self, most: int = MOST_THRESHOLDS) -> Floats:
        """Return the midpoints between neighbouring scores, and 0.5; ascending."""
        midpoints = (self.scores[1:] + self.scores[:-1]) / 2
        if len(midpoints) > most:
            midpoints = midpoints[np.linspace(0, len(midpoints) - 1, most).round().astype(int)]
        return np.unique([*midpoints, HALF])

    def predicted(self, threshold: float) -> Floats:
        """Return the weights of the rows that are predicted positive: negatives, positives."""
        row: Floats = self.above[np.searchsorted(self.scores, threshold)]
        return row

    def value(self, metric: Component, threshold: float) -> float:
        """Return a metric at a threshold, from a confusion matrix as four weighted rows."""
        false, true = self.predicted(threshold)
        negatives, positives = self.above[0]
        own, other = self.positive, 1 - self.positive
        y = np.array([own, own, other, other])
        certain = np.eye(2)[[own, other, own, other]]
        weights = np.array([true, positives - true, false, negatives - false])
        measured = measure([metric], "classification", y, certain, 2, weights, self.positive)
        [value] = measured.values()
        return value

    def best(self, chooser: ChoosingMetric) -> float:
        """Return the best threshold; of equals, the one that is closest to 0.5."""
        thresholds = self.thresholds()
        values = [chooser.sign * self.value(chooser.metric, one) for one in thresholds]
        equals = thresholds[np.isclose(values, max(values), rtol=0.0, atol=1e-12)]
        return float(equals[np.abs(equals - HALF).argmin()])

    def point(self, threshold: float) -> OperatingPoint:
        """Return precision, recall and share at a threshold."""
        false, true = self.predicted(threshold)
        found, (negatives, positives) = false + true, self.above[0]
        precision = float(true / found) if found > 0 else None
        recall = float(true / positives) if positives > 0 else 0.0
        return OperatingPoint(
            float(threshold), precision, recall, float(found / (negatives + positives))
        )

    def points(self, in_use: float) -> tuple[OperatingPoint, ...]:
        """Return a few points: the threshold in use, 0.5, and the highest that reach a recall."""
        thresholds = self.thresholds()
        recalls = np.array([self.point(one).recall for one in thresholds])  # descending
        reached = [np.flatnonzero(recalls >= recall) for recall in _RECALLS]
        chosen = [thresholds[places[-1]] for places in reached if len(places)]
        return tuple(map(self.point, np.unique([*chosen, HALF, in_use])))

    def curve(self) -> tuple[OperatingPoint, ...]:
        """Return points for a plot, without those at which no row is predicted positive."""
        points = map(self.point, self.thresholds(_CURVE_POINTS))
        return tuple(point for point in points if point.precision is not None)


def values_at(
    parts: Sequence[HeldOut],
    chooser: ChoosingMetric,
    positive: int,
    decisions: Sequence[Decision | None],
) -> list[float]:
    """Return the metric of each part by a decision of its own; None: the more probable class."""
    return [
        measure_decided(
            [chooser.metric],
            "classification",
            part.y,
            part.probabilities,
            part.n_classes,
            part.weights,
            positive,
            decision,
        )[chooser.name]
        for part, decision in zip(parts, decisions, strict=True)
    ]
