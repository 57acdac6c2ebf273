"""Predicted class probabilities and the truth: counts, ranks, and what follows from them."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.float64]


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
        """Area under the ROC curve of each class against the rest; NaN if either has no rows.

        It is the share of correctly ordered pairs (a row of the class, another row), ties counting
        half: the Mann-Whitney statistic of the ranks (Hanley and McNeil 1982).
        """
        if self.weights is not None:
            return self._weighted_aucs(self.weights)
        counts = self.support
        pairs = counts * (len(self.y) - counts)
        ranks = rankdata(self.probabilities, axis=0)  # (n, n_classes)
        is_class = self.y[:, None] == np.arange(self.n_classes)
        rank_sums = np.where(is_class, ranks, 0.0).sum(0)
        ordered = rank_sums - counts * (counts + 1) / 2
        aucs = np.full_like(pairs, math.nan)
        np.divide(ordered, pairs, out=aucs, where=pairs > 0)
        return aucs

    def _weighted_aucs(self, weights: Floats) -> Floats:
        aucs = np.full(self.n_classes, math.nan)
        for number, (own, predicted) in enumerate(
            zip(self.support, self.probabilities.T, strict=True)
        ):
            if 0 < own < self.total:
                aucs[number] = roc_auc_score(self.y == number, predicted, sample_weight=weights)
        return aucs

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
