"""Compute metrics of predictions, on all rows of an evaluation at once.

The definitions are scikit-learn's (with all classes of the data as labels, and zero_division=0),
computed here from one confusion matrix: on 288 rows, scikit-learn spends a millisecond or more per
metric on validating its input, a hundred times per trial. Tests compare both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.data.rows.dataset import Dataset
from tunecli.errors import DataError
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.metric_names import argument, argument_number, is_binary, label
from tunecli.study_file.settings.settings import Component, Task
from tunecli.training.models import user_parts
from tunecli.training.outcome.class_predictions import (
    HALF,
    ClassPredictions,
    Floats,
    LabelPredictions,
)
from tunecli.training.outcome.token_predictions import TokenPredictions

_Counted = ClassPredictions | LabelPredictions


def guesses(
    dataset: Dataset, y_train: NDArray[np.generic], n: int, weights: NDArray[np.float64] | None
) -> NDArray[np.floating]:
    """Return the training part's class shares, (n, n_classes), or its mean targets, (n, …)."""
    if dataset.task == "classification":
        counts = np.bincount(y_train.astype(np.int64), weights, minlength=len(dataset.classes))
        return np.tile(counts / counts.sum(), (n, 1))
    means = np.average(y_train.astype(np.float64), axis=0, weights=weights)
    return np.full((n, *np.shape(means)), means)


def measure(
    metrics: Sequence[Component],
    task: Task,
    y_true: NDArray[np.generic],
    predictions: NDArray[np.floating],
    n_classes: int,
    weights: Floats | None = None,
    positive: int | None = None,
) -> dict[str, float]:
    """Measure predictions.

    Args:
        metrics: metrics of this task, from `metric_names.METRICS`, or the user's own.
        task: the kind of prediction.
        y_true: (n,) class indices, or values in the original unit, (n,) or (n, n_targets); or
            (n, n_labels), 0 or 1.
        predictions: (n, n_classes) probabilities, each row with sum 1; values or probabilities of
            labels, like `y_true`; or (n, 4) sums of a language model, see `token_predictions`,
            which hold the truth, too; as `Loss.predict` gives them.
        n_classes: number of classes in the data, whether or not they occur in these rows; 0 for
            regression and labels.
        weights: weight of each row, (n,), at least 0; None for equal weights.
        positive: index of the class that metrics with `average: binary` score; None without two
            classes.

    Raises:
        DataError: a metric of the user's own cannot take weights.

    Returns:
        Values by `metric_names.label`; of several values, the mean over the targets. NaN where a
        metric is not defined (ROC AUC when a class has no row, R² of one row), and everywhere if a
        prediction is not finite.
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
    if task == "language_modeling":
        tokens = TokenPredictions(values)
        measured = {label(metric): _LANGUAGE[metric.name](tokens) for metric in others}
    elif task == "regression":
        targets = _targets(y_true.astype(np.float64), values, weights)
        measured = {
            label(metric): float(
                np.mean([_REGRESSION[metric.name](one, metric) for one in targets])
            )
            for metric in others
        }
    elif task == "multilabel":
        labels = LabelPredictions(y_true.astype(np.float64), values, weights)
        measured = {label(m): _MULTILABEL[m.name](labels, m) for m in others}
    else:
        classes = ClassPredictions(y_true.astype(np.int64), values, n_classes, weights, positive)
        measured = {label(m): _CLASSIFICATION[m.name](classes, m) for m in others}
    if not own:
        return measured
    decided = _decided(task, predictions)
    return measured | {
        label(m): user_parts.user_metric(m, y_true, predictions, decided) for m in own
    }


def _decided(task: Task, predictions: NDArray[np.floating]) -> NDArray[Any]:
    """Return class indices, labels or values."""
    if task == "classification":
        classes: NDArray[Any] = predictions.argmax(1)
        return classes
    return (predictions >= HALF).astype(np.int64) if task == "multilabel" else predictions


def why_undefined(
    metric: Component,
    y_true: NDArray[np.generic],
    classes: Sequence[str],
    weights: Floats | None = None,
    positive: int | None = None,
) -> str:
    """Return why `measure` gives NaN on these rows for any predictions; empty if it does not.

    Args:
        y_true: (n,) class indices, or values; of several targets (n, n_targets).
        classes: names of all classes, or of several targets; empty for one value.
        weights, positive: as in `measure`.
    """
    if metric.name == "r2" and len(y_true) < 2:
        return f"there {'is only one row' if len(y_true) else 'are no rows'}, but r2 needs two"
    if metric.name == "mape" and (y_true == 0).any():
        return "a target is 0, but mape divides by the targets"
    if metric.name not in _NEED_ROWS:
        return ""
    if y_true.ndim > 1:
        return _why_labels_undefined(metric, y_true.astype(np.float64), classes, weights)
    missing = _without_rows(y_true, classes, weights)
    if is_binary(metric) and positive is not None:
        needed = classes[positive]
        why = f"class {needed!r} has no rows, but its {metric.name} needs some"
        return why if needed in missing else ""
    if missing and argument(metric, "average") != "micro":
        return f"class {missing[0]!r} has no rows, but {metric.name} needs rows of every class"
    return ""


def _why_labels_undefined(
    metric: Component, y: Floats, names: Sequence[str], weights: Floats | None
) -> str:
    """Return which label has no row, or all rows, if the metric needs others; else empty."""
    if argument(metric, "average") == "micro":
        return "" if y.any() else f"no row has any label, but {metric.name} needs one"
    with_label = np.average(y, axis=0, weights=weights)
    for name, share in zip(names, with_label, strict=True):
        if share == 0:
            return f"no row has the label {name!r}, but {metric.name} needs some"
        if share == 1 and metric.name == "roc_auc":
            return f"every row has the label {name!r}, but roc_auc needs some without it"
    return ""


def constant(
    metric: Component,
    y_true: NDArray[np.generic],
    classes: Sequence[str],
    weights: Floats | None = None,
    positive: int | None = None,
) -> str:
    """Return why a metric is the same for all predictions of these rows; empty if it varies.

    The arguments are those of `why_undefined`.
    """
    if metric.name == "top_k_accuracy" and argument_number(metric, "k") >= len(classes):
        return f"there are {len(classes)} classes, so {label(metric)} is 1 for any predictions"
    if is_binary(metric) and positive is not None:
        scored = classes[positive]
        if scored in _without_rows(y_true, classes, weights):
            return f"class {scored!r} has no rows, so {metric.name} of it is 0"
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


def _targets(y: Floats, predicted: Floats, weights: Floats | None) -> list[_Values]:
    """Return the values of each target, (n,) or (n, n_targets)."""
    columns = (values.reshape(len(y), -1).T for values in (y, predicted))
    return [_Values(own, other, weights) for own, other in zip(*columns, strict=True)]


class _Values:
    """Values and predictions of one target, (n,) each."""

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


def _fbeta(classes: _Counted, metric: Component) -> float:
    squared = argument_number(metric, "beta") ** 2
    of = (classes.predicted + squared * classes.support) / (1 + squared)
    return _averaged(classes, metric, of)


def _averaged(classes: _Counted, metric: Component, of: Floats) -> float:
    """Average over the classes the hits divided by `of`, (n_classes,); 0 / 0 counts as 0."""
    how = str(argument(metric, "average"))
    if how == "micro":
        return classes.micro(of)
    shares = np.divide(classes.hits, of, out=np.zeros_like(of), where=of > 0)
    return classes.average(shares, how)


def _mean_average_precision(classes: _Counted, metric: Component) -> float:
    how = str(argument(metric, "average"))
    if how == "micro":
        return classes.micro_average_precision
    return classes.average(classes.average_precisions, how)


def _cohen_kappa(classes: ClassPredictions, metric: Component) -> float:
    weights = argument(metric, "weights")
    return classes.cohen_kappa(None if weights is None else str(weights))


def _roc_auc(classes: ClassPredictions, metric: Component) -> float:
    aucs = classes.aucs
    return (
        float(aucs[1])
        if len(aucs) == 2
        else classes.average(aucs, str(argument(metric, "average")))
    )


_NEED_ROWS = ("roc_auc", "average_precision")
"""Metrics that are not defined for a class without rows."""

_OF_COUNTS: Mapping[str, Callable[[_Counted, Component], float]] = {
    "precision": lambda classes, metric: _averaged(classes, metric, classes.predicted),
    "recall": lambda classes, metric: _averaged(classes, metric, classes.support),
    "f1": lambda classes, metric: _averaged(classes, metric, classes.midway),
    "fbeta": _fbeta,
    "average_precision": _mean_average_precision,
    "log_loss": lambda classes, _: classes.log_loss,
    "brier": lambda classes, _: classes.brier,
}
"""Metrics of classes and of labels alike."""

_MULTILABEL: Mapping[str, Callable[[LabelPredictions, Component], float]] = {
    **_OF_COUNTS,
    "roc_auc": lambda labels, metric: labels.average(
        labels.aucs, str(argument(metric, "average"))
    ),
    "hamming": lambda labels, _: labels.hamming,
    "subset_accuracy": lambda labels, _: labels.subset_accuracy,
}

_CLASSIFICATION: Mapping[str, Callable[[ClassPredictions, Component], float]] = {
    **_OF_COUNTS,
    "accuracy": lambda classes, _: classes.accuracy,
    "balanced_accuracy": lambda classes, _: classes.balanced_accuracy,
    "roc_auc": _roc_auc,
    "top_k_accuracy": lambda classes, metric: classes.top_k_accuracy(
        int(argument_number(metric, "k"))
    ),
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

_LANGUAGE: Mapping[str, Callable[[TokenPredictions], float]] = {
    "log_loss": lambda tokens: tokens.log_loss,
    "perplexity": lambda tokens: tokens.perplexity,
    "bits_per_byte": lambda tokens: tokens.bits_per_byte,
    "token_accuracy": lambda tokens: tokens.accuracy,
}
