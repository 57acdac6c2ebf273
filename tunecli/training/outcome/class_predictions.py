"""Probabilities of classes or labels, and the truth: counts, ranks, and what follows from them."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.float64]

HALF = 0.5
"""The probability from which on a label is predicted, unless it has a threshold."""


class ClassPredictions:
    """Class indices (n,), probabilities (n, n_classes), and the confusion matrix of them.

    With weights, counts are sums of the weights.
    """

    def __init__(
        self,
        y: NDArray[np.int64],
        probabilities: Floats,
        n_classes: int,
        weights: Floats | None,
        positive: int | None,
    ) -> None:
        self.y = y
        self.probabilities = probabilities
        self.n_classes = n_classes
        self.weights = weights
        self.positive = positive
        self.total = len(y) if weights is None else float(weights.sum())

    @cached_property
    def confusion(self) -> Floats:
        """Rows by true (first axis) and predicted (second) class; ties go to the first class."""
        cells = self.y * self.n_classes + self.probabilities.argmax(1)
        counts = np.bincount(cells, self.weights, minlength=self.n_classes**2)
        return counts.reshape(self.n_classes, self.n_classes).astype(np.float64)

    @cached_property
    def hits(self) -> Floats:
        """Correctly predicted rows of each class."""
        return self.confusion.diagonal()

    @cached_property
    def support(self) -> Floats:
        """Rows of each class."""
        counts: Floats = self.confusion.sum(1)
        return counts

    @cached_property
    def predicted(self) -> Floats:
        """Rows predicted as each class."""
        counts: Floats = self.confusion.sum(0)
        return counts

    @property
    def midway(self) -> Floats:
        """Mean of the rows of each class and those predicted as it."""
        return (self.predicted + self.support) / 2

    @property
    def accuracy(self) -> float:
        return float(self.hits.sum() / self.total)

    def micro(self, of: Floats) -> float:
        """Return the accuracy: each row has one class and one prediction."""
        return self.accuracy

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have rows."""
        present = self.support > 0
        return float(np.mean(self.hits[present] / self.support[present]))

    @property
    def mcc(self) -> float:
        """Correlation of true and predicted classes (Gorodkin 2004, R_K); 0 if one is constant."""
        n = self.total
        covariance = self.hits.sum() * n - self.support @ self.predicted
        variances = (n**2 - self.support @ self.support) * (n**2 - self.predicted @ self.predicted)
        # With weights, rounding can make the variance of a constant slightly negative.
        return float(covariance / math.sqrt(variances)) if variances > 0 else 0.0

    @property
    def log_loss(self) -> float:
        smallest = np.finfo(np.float64).eps
        of_truth = self.probabilities[np.arange(len(self.y)), self.y]
        losses = -np.log(of_truth.clip(smallest, 1 - smallest))
        return float(losses.mean() if self.weights is None else losses @ self.weights / self.total)

    @property
    def aucs(self) -> Floats:
        """Area under the ROC curve of each class against the rest; NaN if either has no rows."""
        is_class = self.y[:, None] == np.arange(self.n_classes)
        return areas_under_curve(is_class, self.probabilities, self.weights)

    @property
    def average_precisions(self) -> Floats:
        """Average precision of each class against the rest; NaN if it has no rows."""
        is_class = self.y[:, None] == np.arange(self.n_classes)
        pairs = zip(is_class.T, self.probabilities.T, strict=True)
        return np.array([average_precision(*pair, self.weights) for pair in pairs])

    @property
    def micro_average_precision(self) -> float:
        """Average precision of all pairs of a row and a class: which of them are true."""
        is_class = self.y[:, None] == np.arange(self.n_classes)
        weights = None if self.weights is None else np.repeat(self.weights, self.n_classes)
        return average_precision(is_class.ravel(), self.probabilities.ravel(), weights)

    def top_k_accuracy(self, k: int) -> float:
        """Return the share of rows whose class is among the `k` most probable.

        Ties go to the first class, as in `accuracy`, which is this for k = 1.
        """
        of_truth = self.probabilities[np.arange(len(self.y)), self.y][:, None]
        before = np.arange(self.n_classes) < self.y[:, None]
        ahead = (self.probabilities > of_truth) | ((self.probabilities == of_truth) & before)
        hits = ahead.sum(1) < k
        return float(np.average(hits, weights=self.weights))

    @property
    def brier(self) -> float:
        """Mean squared distance of the probabilities from the truth; halved for two classes.

        For two classes it is that of the second class's probability alone (Brier 1950).
        """
        misses = self.probabilities - np.eye(self.n_classes)[self.y]
        distances = np.square(misses).sum(1)
        mean = np.average(distances, weights=self.weights)
        return float(mean / 2 if self.n_classes == 2 else mean)

    def cohen_kappa(self, weights: str | None) -> float:
        """Return the agreement of true and predicted classes beyond chance (Cohen 1968).

        Args:
            weights: how much a confusion of two classes counts: all alike, or by the distance of
                their numbers (`linear`) or its square (`quadratic`), for ordered classes.

        Returns:
            0 if all rows and predictions are of one class.
        """
        numbers = np.arange(self.n_classes)
        apart = np.abs(numbers[:, None] - numbers)
        power = {None: 0, "linear": 1, "quadratic": 2}[weights]
        costs = np.where(apart > 0, apart.astype(np.float64) ** power, 0.0)
        by_chance = float((costs * np.outer(self.support, self.predicted)).sum() / self.total)
        return 1 - float((costs * self.confusion).sum()) / by_chance if by_chance else 0.0

    def average(self, values: Floats, how: str) -> float:
        """Average one value per class: `macro`, `weighted` by the classes' rows, or `binary`.

        `binary` is the value of the positive class.
        """
        if how == "binary":
            assert self.positive is not None, "the study was checked: there are two classes"
            return float(values[self.positive])
        return float(np.average(values, weights=self.support if how == "weighted" else None))


class LabelPredictions:
    """Labels, their probabilities, and which labels are predicted: those from `HALF` on.

    With weights, counts are sums of the weights.

    Args:
        y: 0 or 1, (n, n_labels).
        probabilities: (n, n_labels).
        weights: weight of each row, (n,); None for equal weights.
    """

    def __init__(self, y: Floats, probabilities: Floats, weights: Floats | None) -> None:
        self.truth = y > HALF
        self.probabilities = probabilities
        self.weights = weights
        self._chosen = probabilities >= HALF

    def _counted(self, cells: NDArray[np.bool_]) -> Floats:
        """Return the number, or the weight, of the true cells of each label."""
        counts = cells.sum(0) if self.weights is None else self.weights @ cells
        return counts.astype(np.float64)

    @cached_property
    def hits(self) -> Floats:
        """Rows with each label for which it is predicted."""
        return self._counted(self.truth & self._chosen)

    @cached_property
    def support(self) -> Floats:
        """Rows with each label."""
        return self._counted(self.truth)

    @cached_property
    def predicted(self) -> Floats:
        """Rows for which each label is predicted."""
        return self._counted(self._chosen)

    @property
    def midway(self) -> Floats:
        """Mean of the rows with each label and those for which it is predicted."""
        return (self.predicted + self.support) / 2

    def micro(self, of: Floats) -> float:
        """Return all hits divided by the sum of `of`, (n_labels,); 0 / 0 counts as 0."""
        return float(self.hits.sum() / of.sum()) if of.sum() else 0.0

    def average(self, values: Floats, how: str) -> float:
        """Average one value per label: `macro`, or `weighted` by the rows with each label."""
        if how == "macro" or not self.support.any():
            return float(np.average(values))
        return float(np.average(values, weights=self.support))

    def _mean(self, of_rows: Floats | NDArray[np.bool_]) -> float:
        return float(np.average(of_rows, weights=self.weights))

    @property
    def hamming(self) -> float:
        """Share of the pairs of a row and a label that are predicted wrong."""
        return self._mean((self.truth != self._chosen).mean(1))

    @property
    def subset_accuracy(self) -> float:
        """Share of the rows all of whose labels are predicted right."""
        return self._mean((self.truth == self._chosen).all(1))

    @property
    def log_loss(self) -> float:
        """Mean of the labels' log losses."""
        smallest = np.finfo(np.float64).eps
        of_truth = np.where(self.truth, self.probabilities, 1 - self.probabilities)
        return self._mean(-np.log(of_truth.clip(smallest, 1 - smallest)).mean(1))

    @property
    def brier(self) -> float:
        """Mean squared distance of the probabilities from the truth."""
        return self._mean(np.square(self.probabilities - self.truth).mean(1))

    @property
    def aucs(self) -> Floats:
        """Area under the ROC curve of each label; NaN unless some rows have it and some do not."""
        return areas_under_curve(self.truth, self.probabilities, self.weights)

    @property
    def average_precisions(self) -> Floats:
        """Average precision of each label; NaN if no row has it."""
        pairs = zip(self.truth.T, self.probabilities.T, strict=True)
        return np.array([average_precision(*pair, self.weights) for pair in pairs])

    @property
    def micro_average_precision(self) -> float:
        """Average precision of all pairs of a row and a label."""
        n_labels = self.truth.shape[1]
        weights = None if self.weights is None else np.repeat(self.weights, n_labels)
        return average_precision(self.truth.ravel(), self.probabilities.ravel(), weights)


def areas_under_curve(truth: NDArray[np.bool_], scores: Floats, weights: Floats | None) -> Floats:
    """Return the area under each column's ROC curve, (n_columns,); NaN if one side has no rows.

    It is the share of correctly ordered pairs (a true row, another row), ties counting half: the
    Mann-Whitney statistic of the ranks (Hanley and McNeil 1982).

    Args:
        truth: whether each row is of the column's class, (n, n_columns).
        scores: (n, n_columns).
        weights: weight of each row, (n,); None for equal weights.
    """
    if weights is not None:
        return _weighted_areas(truth, scores, weights)
    counts = truth.sum(0).astype(np.float64)
    pairs = counts * (len(truth) - counts)
    rank_sums = np.where(truth, rankdata(scores, axis=0), 0.0).sum(0)
    ordered = rank_sums - counts * (counts + 1) / 2
    areas: Floats = np.full_like(pairs, math.nan)
    np.divide(ordered, pairs, out=areas, where=pairs > 0)
    return areas


def _weighted_areas(truth: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    areas = np.full(truth.shape[1], math.nan)
    total = weights.sum()
    for number, (own, scored) in enumerate(zip(truth.T, scores.T, strict=True)):
        if 0 < weights[own].sum() < total:
            areas[number] = roc_auc_score(own, scored, sample_weight=weights)
    return areas


def average_precision(truth: NDArray[np.bool_], scores: Floats, weights: Floats | None) -> float:
    """Return the mean precision at each step of recall, from the highest score down.

    Rows of equal score are one step, and nothing is interpolated, as in scikit-learn.

    Args:
        truth: whether each row is of the class, (n,).
        scores: (n,).
        weights: weight of each row, (n,); None for equal weights.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_step = np.append(np.diff(scores[order]) != 0, True)
    sizes = np.ones(len(truth)) if weights is None else weights
    hits = np.cumsum((truth * sizes)[order])[last_of_step]
    chosen = np.cumsum(sizes[order])[last_of_step]
    if not hits[-1]:
        return math.nan
    precisions = np.divide(hits, chosen, out=np.zeros_like(hits), where=chosen > 0)
    return float(np.diff(hits, prepend=0.0) @ precisions / hits[-1])
