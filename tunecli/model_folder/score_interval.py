"""Confidence intervals of test scores: Wilson's for the accuracy, else by the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from tunecli.errors import UserCodeError
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.metric_names import label
from tunecli.study_file.settings.settings import Component, Task
from tunecli.training.outcome.decision import (
    Decision,
    LabelDecision,
    measure_decided,
    measure_targets,
)
from tunecli.training.outcome.evaluation import TargetScores
from tunecli.training.outcome.score_guard import NoScoreError, float_of

N_SAMPLES = 1000
MOST_CELLS = 2 * 10**8
"""Largest product of rows and samples; for large test sets the samples drop to `FEWEST`."""
FEWEST = 100
LEVEL = 0.95
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_QUANTILE = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class ScoreInterval:
    """A score on the test rows, and its 95 % interval.

    Both ends are equal where the rows do not show how far the score may be off, such as those of a
    perfect f1; both are NaN where the metric is not defined.
    """

    score: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether the rows show how far the score may be off."""
        return self.low < self.high

    @property
    def error(self) -> float:
        """Standard error of the score, from the width of the interval."""
        return (self.high - self.low) / (2 * _QUANTILE)


@dataclass(frozen=True)
class Predicted:
    """Rows, and what a model predicts for them; the fields are arguments of `measure_decided`."""

    task: Task
    y_true: NDArray[np.generic]
    predictions: NDArray[np.floating]
    n_classes: int
    weights: NDArray[np.float64] | None = None
    positive: int | None = None
    decision: Decision | LabelDecision | None = None

    def at(self, rows: NDArray[np.int64]) -> Predicted:
        """Return some of the rows; a row may occur several times."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(
            self, y_true=self.y_true[rows], predictions=self.predictions[rows], weights=weights
        )

    def residual_quantiles(self) -> dict[str, float]:
        """Return quantiles of prediction minus truth, by their share."""
        errors = self.predictions.astype(np.float64) - self.y_true.astype(np.float64)
        quantiles = zip(QUANTILES, np.quantile(errors, QUANTILES), strict=True)
        return {f"{share:g}": float(error) for share, error in quantiles}

    def measured(self, metrics: Sequence[Component]) -> dict[str, float]:
        """Measure as `metrics.measure` does, but with NaN where a user's metric fails.

        A model that took hours to train is not lost because of one metric.
        """
        own = [metric for metric in metrics if is_code(metric.name)]
        scores = self._measure([metric for metric in metrics if metric not in own])
        for metric in own:
            name = label(metric)
            try:
                scores[name] = float_of(self._measure([metric])[name], name)
            except (UserCodeError, NoScoreError):
                scores[name] = math.nan
        return scores

    def of_targets(self, names: Sequence[str], metrics: Sequence[Component]) -> TargetScores:
        """Measure each of several targets alone; without names, nothing."""
        return measure_targets(
            names,
            metrics,
            self.task,
            self.y_true,
            self.predictions,
            self.weights,
            self.decision,
        )

    def _measure(self, metrics: Sequence[Component]) -> dict[str, float]:
        return measure_decided(
            metrics,
            self.task,
            self.y_true,
            self.predictions,
            self.n_classes,
            self.weights,
            self.positive,
            self.decision,
        )


def score_intervals(
    metrics: Sequence[Component], predicted: Predicted
) -> dict[str, ScoreInterval]:
    """Return the score and the interval of each metric.

    That of the accuracy is Wilson's (1927), which also holds near 0 and 1, unless the rows are
    weighted. All others are percentile intervals (Efron and Tibshirani 1993, chapter 13); samples
    in which a metric is not defined are left out. Rows of weight 0 are not drawn.
    """
    if predicted.weights is not None:
        predicted = predicted.at(np.flatnonzero(predicted.weights > 0))
    scores = predicted.measured(metrics)
    n_rows = len(predicted.y_true)
    n_samples = max(FEWEST, min(N_SAMPLES, MOST_CELLS // n_rows))
    rng = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {name: [] for name in scores}
    for _ in range(n_samples):
        for name, value in predicted.at(rng.integers(0, n_rows, n_rows)).measured(metrics).items():
            drawn[name].append(value)
    found = {label(m): _interval(scores[label(m)], drawn[label(m)]) for m in metrics}
    if "accuracy" in found and predicted.weights is None:
        found["accuracy"] = _of_share(scores["accuracy"], n_rows)
    return found


def _of_share(share: float, n_rows: int) -> ScoreInterval:
    ends = binomtest(round(share * n_rows), n_rows).proportion_ci(LEVEL, "wilson")
    return ScoreInterval(share, float(ends.low), float(ends.high))


def _interval(score: float, drawn: Sequence[float]) -> ScoreInterval:
    values = np.array(drawn)
    values = values[np.isfinite(values)]
    if not len(values):
        return ScoreInterval(score, float("nan"), float("nan"))
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return ScoreInterval(score, float(low), float(high))
