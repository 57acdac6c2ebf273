"""Choose a threshold for each label, the best for a metric, on out-of-fold predictions.

F1 with `average: micro` is a fraction of two sums over the labels. Its best thresholds maximize,
label by label, the numerator minus the best value times the denominator, and the value follows by
repetition (Dinkelbach 1967, "On Nonlinear Fractional Programming"). Other metrics are means over
the labels, so each label is chosen alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.model_folder.adjust.calibrate import is_reliable
from tunecli.model_folder.adjust.choose_threshold import HALF, ChoosingMetric, ThresholdTable
from tunecli.model_folder.adjust.held_out import HeldOut
from tunecli.study_file.settings.metric_names import METRICS, argument, argument_number
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.outcome.adjustment import BeforeAfter, How, LabelThresholds, ThresholdWish
from tunecli.training.outcome.decision import LabelDecision, measure_decided

Floats = NDArray[np.float64]

CHOOSING_OF_LABELS = frozenset({"f1", "fbeta", "hamming"})
"""Metrics that choose thresholds. Subset accuracy depends on all labels of a row at once."""
_ROUNDS = 20
"""Most repetitions; the value grows faster than linearly, so a few suffice."""

Gain = Callable[["LabelTable"], Floats]
"""What each of a label's thresholds is worth; the best one is the largest."""


@dataclass(frozen=True)
class LabelTable:
    """The rows of one label at each of its thresholds.

    Attributes:
        thresholds: (m,), ascending.
        hits: weight of the rows with the label for which it is predicted, (m,).
        predicted: weight of the rows for which it is predicted, (m,).
        support: weight of the rows with the label.
    """

    thresholds: Floats
    hits: Floats
    predicted: Floats
    support: float

    @classmethod
    def of(cls, rows: HeldOut, label: int) -> LabelTable:
        """Count the rows of one label."""
        positive = rows.probabilities[:, label]
        pairs = np.stack([1 - positive.astype(np.float64), positive], axis=1)
        table = ThresholdTable.of(
            HeldOut(rows.rows, rows.folds, rows.y[:, label], pairs, rows.weights), positive=1
        )
        thresholds = table.thresholds()
        counts = np.array([table.predicted(one) for one in thresholds])
        return cls(thresholds, counts[:, 1], counts.sum(1), float(table.above[0, 1]))

    def best(self, gain: Gain) -> int:
        """Return the position of the best threshold; of equals, the one closest to 0.5."""
        gains = gain(self)
        equals = np.flatnonzero(np.isclose(gains, gains.max(), rtol=0.0, atol=1e-12))
        return int(equals[np.abs(self.thresholds[equals] - HALF).argmin()])


def label_chooser(config: TrialConfig) -> ChoosingMetric | None:
    """Return the first objective, else the first shown metric, that chooses thresholds."""
    wanted = [(one.metric, one.direction) for one in config.objectives]
    wanted += [(m, METRICS[m.name].direction) for m in config.metrics if m.name in METRICS]
    fitting = (one for one in wanted if one[0].name in CHOOSING_OF_LABELS)
    return next((ChoosingMetric(*one) for one in fitting), None)


def label_thresholds(
    config: TrialConfig, rows: HeldOut, names: Sequence[str], wish: ThresholdWish
) -> LabelThresholds:
    """Return the thresholds of all labels, judged on each part by a choice from the others.

    Args:
        rows: out-of-fold predictions, with at least two `splits`.
        wish: `none` keeps 0.5 for every label.
    """
    chooser = label_chooser(config)
    if chooser is None or wish == "none":
        return LabelThresholds(tuple(names))
    judged = [part for _, part in rows.splits]
    choices = [best_thresholds(fitted, chooser.metric) for fitted, _ in rows.splits]
    before = [_value(part, chooser, (HALF,) * len(names)) for part in judged]
    after = [_value(part, chooser, one) for part, one in zip(judged, choices, strict=True)]
    is_better = is_reliable(chooser.sign * np.subtract(after, before))
    how: How = "tuned" if is_better else "default"
    score = BeforeAfter(float(np.mean(before)), float(np.mean(after)))
    values = best_thresholds(rows, chooser.metric)
    return LabelThresholds(tuple(names), values, how, chooser.name, score)


def best_thresholds(rows: HeldOut, metric: Component) -> tuple[float, ...]:
    """Return the threshold of each label that is best for a metric of `CHOOSING_OF_LABELS`."""
    tables = [LabelTable.of(rows, label) for label in range(rows.n_classes)]
    chosen = [one.best(_gain_alone(metric)) for one in tables]
    if metric.name != "hamming" and argument(metric, "average") == "micro":
        chosen = _of_all_together(tables, chosen, _squared_beta(metric))
    pairs = zip(tables, chosen, strict=True)
    return tuple(float(table.thresholds[place]) for table, place in pairs)


def _squared_beta(metric: Component) -> float:
    return argument_number(metric, "beta") ** 2 if metric.name == "fbeta" else 1.0


def _gain_alone(metric: Component) -> Gain:
    """Return what a threshold is worth for a metric of one label."""
    if metric.name == "hamming":
        return lambda label: 2 * label.hits - label.predicted
    squared = _squared_beta(metric)

    def f_score(label: LabelTable) -> Floats:
        of = label.predicted + squared * label.support
        return np.divide((1 + squared) * label.hits, of, out=np.zeros_like(of), where=of > 0)

    return f_score


def _of_all_together(labels: Sequence[LabelTable], chosen: list[int], squared: float) -> list[int]:
    """Return the thresholds with the best F score of all pairs of a row and a label."""
    for _ in range(_ROUNDS):
        pairs = list(zip(labels, chosen, strict=True))
        hits = sum(label.hits[place] for label, place in pairs)
        of = sum(label.predicted[place] + squared * label.support for label, place in pairs)
        value = (1 + squared) * hits / of if of else 0.0

        def gain(label: LabelTable, value: float = value) -> Floats:
            return (1 + squared) * label.hits - value * label.predicted

        better = [label.best(gain) for label in labels]
        if better == chosen:
            break
        chosen = better
    return chosen


def _value(part: HeldOut, chooser: ChoosingMetric, thresholds: tuple[float, ...]) -> float:
    decision = LabelDecision(thresholds)
    [value] = measure_decided(
        [chooser.metric], "multilabel", part.y, part.probabilities, 0, part.weights, None, decision
    ).values()
    return value
