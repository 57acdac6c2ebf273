"""Compute metrics of predictions, on all rows of an evaluation at once.

The definitions are scikit-learn's (with all classes of the data as labels, and zero_division=0),
computed here from one confusion matrix: on 288 rows, scikit-learn spends a millisecond or more per
metric on validating its input, a hundred times per trial. Tests compare both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from tunecli.data.rows.dataset import Dataset
from tunecli.errors import DataError
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.metric_names import argument, argument_number, label
from tunecli.study_file.settings.settings import Component, Task
from tunecli.training.models import user_parts


def guesses(
    dataset: Dataset, y_train: NDArray[np.generic], n: int, weights: NDArray[np.float64] | None
) -> NDArray[np.floating]:
    """Return the training part's class shares, (n, n_classes), or its mean target, (n,)."""
    if dataset.task == "classification":
        counts = np.bincount(y_train.astype(np.int64), weights, minlength=len(dataset.classes))
        return np.tile(counts / counts.sum(), (n, 1))
    return np.full(n, np.average(y_train.astype(np.float64), weights=weights))


Floats = NDArray[np.float64]


def measure(
    metrics: Sequence[Component],
    task: Task,
    y_true: NDArray[np.generic],
    predictions: NDArray[np.floating],
    n_classes: int,
    weights: Floats | None = None,
) -> dict[str, float]:
    """Measure predictions.

    Args:
        metrics: metrics of this task, from `metric_names.METRICS`, or the user's own.
        task: the kind of prediction.
        y_true: (n,) class indices, or values in the original unit.
        predictions: (n, n_classes) probabilities, each row with sum 1, or (n,) values in the
            original unit; as `Loss.predict` gives them.
        n_classes: number of classes in the data, whether or not they occur in these rows; 0 for
            regression.
        weights: weight of each row, (n,), at least 0; None for equal weights.

    Raises:
        DataError: a metric of the user's own cannot take weights.

    Returns:
        Values by `metric_names.label`. NaN where a metric is not defined (ROC AUC when a
        class has no row, R² of one row), and everywhere if a prediction is not finite.
    """
    if not np.isfinite(predictions).all():
        return {label(metric): math.nan for metric in metrics}
    own = [metric for metric in metrics if is_code(metric.name)]
    if own and weights is not None:
        raise DataError(
            f"{own[0].name} is your own code, which does not take row weights. Remove the metric "
            "or data.weights.",
            "data.weights",
        )
    others = [metric for metric in metrics if metric not in own]
    values = predictions.astype(np.float64)
    if task == "regression":
        rows = _Values(y_true.astype(np.float64), values, weights)
        measured = {label(metric): _REGRESSION[metric.name](rows, metric) for metric in others}
    else:
        classes = _Classes(y_true.astype(np.int64), values, n_classes, weights)
        measured = {label(m): _CLASSIFICATION[m.name](classes, m) for m in others}
    return measured | {label(m): user_parts.user_metric(m, y_true, predictions) for m in own}


def why_undefined(
    metric: Component,
    y_true: NDArray[np.generic],
    classes: Sequence[str],
    weights: Floats | None = None,
) -> str:
    """Return why `measure` gives NaN on these rows for any predictions; empty if it does not.

    Args:
        y_true: (n,) class indices, or values.
        classes: names of all classes of the data; empty for regression.
        weights: weight of each row, (n,), as in `measure`.
    """
    if metric.name == "r2" and len(y_true) < 2:
        return f"there {'is only one row' if len(y_true) else 'are no rows'}, but r2 needs two"
    if metric.name == "mape" and (y_true == 0).any():
        return "a target is 0, but mape divides by the targets"
    if metric.name == "roc_auc":
        missing = _without_rows(y_true, classes, weights)
        if missing:
            return f"class {missing[0]!r} has no rows, but roc_auc needs rows of every class"
    return ""


def constant(
    metric: Component,
    y_true: NDArray[np.generic],
    classes: Sequence[str],
    weights: Floats | None = None,
) -> str:
    """Return why a metric is the same for all predictions of these rows; empty if it varies.

    The arguments are those of `why_undefined`.
    """
    if metric.name == "top_k_accuracy" and argument_number(metric, "k") >= len(classes):
        return f"there are {len(classes)} classes, so {label(metric)} is 1 for any predictions"
    agreement = metric.name in ("mcc", "cohen_kappa")
    if agreement and len(_without_rows(y_true, classes, weights)) >= len(classes) - 1:
        return f"all rows belong to one class, so {metric.name} is 0 for any predictions"
    if metric.name == "r2" and len(y_true) and (y_true == y_true[0]).all():
        return "all targets are equal, so r2 is 0 unless every prediction is exact"
    return ""


def _without_rows(
    y_true: NDArray[np.generic], classes: Sequence[str], weights: Floats | None
) -> list[str]:
    """Return the classes without a row of positive weight."""
    counts = np.bincount(y_true.astype(np.int64), weights, minlength=len(classes))
    return [name for name, count in zip(classes, counts, strict=True) if not count]


class _Values:
    """Regression targets and predictions, (n,) each."""

    def __init__(self, y: Floats, predicted: Floats, weights: Floats | None) -> None:
        self.y = y
        self.errors = y - predicted
        self._weights = weights

    def mean(self, values: Floats) -> float:
        """Return the (weighted) mean over the rows."""
        if self._weights is None:
            return float(np.mean(values))
        return float(np.average(values, weights=self._weights))

    def _sum(self, values: Floats) -> float:
        return float(np.sum(values) if self._weights is None else values @ self._weights)

    @property
    def mse(self) -> float:
        return self.mean(self.errors**2)

    @property
    def mape(self) -> float:
        """Mean of the absolute errors as shares of the targets; not defined for a target of 0."""
        if not self.y.all():
            return math.nan
        return self.mean(np.abs(self.errors / self.y))

    def pinball(self, alpha: float) -> float:
        """Return the loss whose best constant prediction is the `alpha` quantile."""
        return self.mean(np.maximum(alpha * self.errors, (alpha - 1) * self.errors))

    @property
    def r2(self) -> float:
        """1 - SS_res / SS_tot; 0 (or 1, if exact) where the targets do not vary."""
        if len(self.y) < 2:
            return math.nan
        total = self._sum((self.y - self.mean(self.y)) ** 2)
        residual = self._sum(self.errors**2)
        if total == 0:
            return float(residual == 0)
        return 1 - residual / total


class _Classes:
    """Class indices (n,), probabilities (n, n_classes), and the confusion matrix of them.

    With weights, counts are sums of the weights.
    """

    def __init__(
        self,
        y: NDArray[np.int64],
        probabilities: Floats,
        n_classes: int,
        weights: Floats | None,
    ) -> None:
        self.y = y
        self.probabilities = probabilities
        self.n_classes = n_classes
        self.weights = weights
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
        return float(covariance / math.sqrt(variances)) if variances else 0.0

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
        """Average one value per class: `macro`, or `weighted` by the classes' rows."""
        return float(np.average(values, weights=self.support if how == "weighted" else None))


def _fbeta(classes: _Classes, metric: Component) -> float:
    squared = argument_number(metric, "beta") ** 2
    of = (classes.predicted + squared * classes.support) / (1 + squared)
    return _averaged(classes, metric, of)


def _averaged(classes: _Classes, metric: Component, of: Floats) -> float:
    """Average over the classes the hits divided by `of`, (n_classes,); 0 / 0 counts as 0."""
    how = str(argument(metric, "average"))
    if how == "micro":  # each row has one class and one prediction, so all three are accuracy
        return classes.accuracy
    shares = np.divide(classes.hits, of, out=np.zeros_like(of), where=of > 0)
    return classes.average(shares, how)


def _cohen_kappa(classes: _Classes, metric: Component) -> float:
    weights = argument(metric, "weights")
    return classes.cohen_kappa(None if weights is None else str(weights))


def _roc_auc(classes: _Classes, metric: Component) -> float:
    aucs = classes.aucs
    return (
        float(aucs[1])
        if len(aucs) == 2
        else classes.average(aucs, str(argument(metric, "average")))
    )


_CLASSIFICATION: Mapping[str, Callable[[_Classes, Component], float]] = {
    "accuracy": lambda classes, _: classes.accuracy,
    "balanced_accuracy": lambda classes, _: classes.balanced_accuracy,
    "precision": lambda classes, metric: _averaged(classes, metric, classes.predicted),
    "recall": lambda classes, metric: _averaged(classes, metric, classes.support),
    "f1": lambda classes, metric: _averaged(classes, metric, classes.midway),
    "roc_auc": _roc_auc,
    "fbeta": _fbeta,
    "top_k_accuracy": lambda classes, metric: classes.top_k_accuracy(
        int(argument_number(metric, "k"))
    ),
    "log_loss": lambda classes, _: classes.log_loss,
    "brier": lambda classes, _: classes.brier,
    "mcc": lambda classes, _: classes.mcc,
    "cohen_kappa": _cohen_kappa,
}

_REGRESSION: Mapping[str, Callable[[_Values, Component], float]] = {
    "rmse": lambda values, _: math.sqrt(values.mse),
    "mse": lambda values, _: values.mse,
    "mae": lambda values, _: values.mean(np.abs(values.errors)),
    "mape": lambda values, _: values.mape,
    "pinball": lambda values, metric: values.pinball(argument_number(metric, "alpha")),
    "r2": lambda values, _: values.r2,
}
