"""Metrics against scikit-learn, their laws, their edges, and their time."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.study_file.settings.metric_names import (
    METRICS,
    MetricArgument,
    MetricNumber,
    label,
    metric_needs,
)
from tunecli.study_file.settings.settings import Component, Task
from tunecli.training.outcome import metrics as own

Arrays = tuple[np.ndarray, np.ndarray]

POSITIVE = 1
measure = partial(own.measure, positive=POSITIVE)
why_undefined = partial(own.why_undefined, positive=POSITIVE)
constant = partial(own.constant, positive=POSITIVE)


def _variants(task: str) -> list[Component]:
    """Every metric of a task with every word of its arguments."""
    return [
        Component(name=info.name, arguments=dict(zip(info.arguments, given, strict=True)))
        for info in METRICS.values()
        if task in info.tasks
        for given in itertools.product(*(_values(known) for known in info.arguments.values()))
    ]


def _values(known: MetricArgument) -> tuple[str | float | None, ...]:
    """Every word, or some numbers."""
    if not isinstance(known, MetricNumber):
        return known
    return (1, 2) if isinstance(known.default, int) else (0.5, 0.75, 1)


def _classification(n: int, n_classes: int, seed: int, classes_present: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes_present or n_classes, n)
    # Rounded scores make ties, which ranks must share.
    scores = np.round(rng.normal(size=(n, n_classes)) + 1.5 * np.eye(n_classes)[y], 1)
    odds = np.exp(scores)
    return y, odds / odds.sum(1, keepdims=True)


def _sklearn(metric: Component, y: np.ndarray, p: np.ndarray) -> float:
    """The same metric by scikit-learn, with all columns of `p` as labels."""
    labels, predicted = np.arange(p.shape[1]), p.argmax(1)
    average = metric.arguments.get("average", "macro")
    is_class = y[:, None] == labels
    if average == "binary":  # one class against the rest
        return _sklearn_of_one(metric, y == POSITIVE, predicted == POSITIVE, p[:, POSITIVE])
    shared: dict[str, Any] = {"labels": labels, "average": average, "zero_division": 0.0}
    by_name: dict[str, Callable[[], float]] = {
        "accuracy": lambda: reference.accuracy_score(y, predicted),
        "balanced_accuracy": lambda: reference.balanced_accuracy_score(y, predicted),
        "precision": lambda: reference.precision_score(y, predicted, **shared),
        "recall": lambda: reference.recall_score(y, predicted, **shared),
        "f1": lambda: reference.f1_score(y, predicted, **shared),
        "roc_auc": lambda: (
            reference.roc_auc_score(y, p[:, 1])
            if p.shape[1] == 2
            else reference.roc_auc_score(y, p, multi_class="ovr", average=average, labels=labels)
        ),
        "fbeta": lambda: reference.fbeta_score(
            y, predicted, beta=metric.arguments["beta"], **shared
        ),
        "top_k_accuracy": lambda: reference.top_k_accuracy_score(
            y,
            p[:, 1] if p.shape[1] == 2 else p - 1e-9 * labels,  # ties go to the first class
            k=metric.arguments["k"],
            labels=labels,
        ),
        "brier": lambda: reference.brier_score_loss(y, p, labels=labels),
        "cohen_kappa": lambda: reference.cohen_kappa_score(
            y, predicted, weights=metric.arguments["weights"], labels=labels
        ),
        "average_precision": lambda: reference.average_precision_score(
            is_class, p, average=average
        ),
        "log_loss": lambda: reference.log_loss(y, p, labels=labels),
        "mcc": lambda: reference.matthews_corrcoef(y, predicted),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes without rows
        return float(by_name[metric.name]())


def _sklearn_of_one(
    metric: Component, y: np.ndarray, predicted: np.ndarray, score: np.ndarray
) -> float:
    """A metric of the positive class alone, by scikit-learn."""
    if metric.name == "average_precision":
        return float(reference.average_precision_score(y, score))
    beta = metric.arguments.get("beta", 1)
    precision, recall, f, _ = reference.precision_recall_fscore_support(
        y, predicted, beta=beta, average="binary", zero_division=0.0
    )
    return float({"precision": precision, "recall": recall}.get(metric.name, f))


@pytest.mark.parametrize("metric", _variants("classification"), ids=label)
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_classification_is_scikit_learns(metric: Component, n_classes: int) -> None:
    for seed in range(5):
        y, p = _classification(200, n_classes, seed)
        ours = measure([metric], "classification", y, p, n_classes)
        assert ours == {label(metric): pytest.approx(_sklearn(metric, y, p), abs=1e-12)}


@pytest.mark.parametrize(
    "metric", [m for m in _variants("classification") if not metric_needs(label(m))], ids=label
)
def test_a_class_without_rows_counts_as_in_scikit_learn(metric: Component) -> None:
    y, p = _classification(50, 5, seed=0, classes_present=3)
    ours = measure([metric], "classification", y, p, 5)
    assert ours[label(metric)] == pytest.approx(_sklearn(metric, y, p), abs=1e-12)


@pytest.mark.parametrize("metric", _variants("regression"), ids=label)
def test_regression_is_scikit_learns(metric: Component) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(150, 70, 88)
    predicted = y + rng.normal(0, 50, 88)
    oracle: Callable[[np.ndarray, np.ndarray], float] = {
        "rmse": reference.root_mean_squared_error,
        "mse": reference.mean_squared_error,
        "mae": reference.mean_absolute_error,
        "mape": reference.mean_absolute_percentage_error,
        "pinball": partial(
            reference.mean_pinball_loss, alpha=metric.arguments.get("alpha", math.nan)
        ),
        "r2": reference.r2_score,
    }[metric.name]
    ours = measure([metric], "regression", y, predicted, 0)
    assert ours == {label(metric): pytest.approx(oracle(y, predicted), rel=1e-12)}


@given(st.permutations(range(40)), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_does_not_matter(order: list[int], seed: int) -> None:
    y, p = _classification(40, 4, seed)
    metrics = _variants("classification")
    before = measure(metrics, "classification", y, p, 4)
    after = measure(metrics, "classification", y[order], p[order], 4)
    assert after == pytest.approx(before, abs=1e-12, nan_ok=True)


@given(st.integers(0, 1000), st.sampled_from([2, 3, 5]))
@settings(max_examples=25, deadline=None)
def test_the_truth_is_best_in_the_metrics_direction(seed: int, n_classes: int) -> None:
    y = np.arange(30) % n_classes
    _, guess = _classification(30, n_classes, seed)
    metrics = _variants("classification")
    perfect = measure(metrics, "classification", y, np.eye(n_classes)[y], n_classes)
    guessed = measure(metrics, "classification", y, guess, n_classes)
    for metric in metrics:
        sign = 1 if METRICS[metric.name].direction == "maximize" else -1
        assert sign * perfect[label(metric)] >= sign * guessed[label(metric)]
        assert perfect[label(metric)] == pytest.approx(1.0 if sign == 1 else 0.0)


def test_regression_is_best_at_the_truth() -> None:
    y = np.array([1.0, 5.0, 2.0])
    values = measure(_variants("regression"), "regression", y, y, 0)
    assert values == {name: float(name == "r2") for name in values}


def test_roc_auc_without_rows_of_a_class_is_nan() -> None:
    auc = [Component(name="roc_auc")]
    one_class = np.zeros(10, dtype=np.int64)
    _, p = _classification(10, 2, 0)
    assert math.isnan(measure(auc, "classification", one_class, p, 2)["roc_auc"])
    y, p = _classification(30, 4, 0, classes_present=3)
    assert math.isnan(measure(auc, "classification", y, p, 4)["roc_auc"])


def test_average_precision_needs_rows_of_the_classes_that_it_scores() -> None:
    y, p = _classification(30, 4, 0, classes_present=3)
    variants = [m for m in _variants("classification") if m.name == "average_precision"]
    values = measure(variants, "classification", y, p, 4)
    assert {name for name, value in values.items() if math.isnan(value)} == {
        "average_precision",
        "average_precision_weighted",
    }
    of_nobody = own.measure(variants, "classification", y, p, 4, positive=3)
    assert math.isnan(of_nobody["average_precision_binary"])
    why = own.why_undefined(variants[-1], y, ["a", "b", "c", "d"], positive=3)
    assert why == "class 'd' has no rows, but its average_precision needs some"


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_average_precision_with_weights_and_ties_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_classes = int(rng.integers(2, 60)), int(rng.integers(2, 5))
    y = np.append(np.arange(n_classes), rng.integers(0, n_classes, n))
    p = rng.dirichlet(np.ones(n_classes), len(y)).round(1)
    weights = rng.integers(1, 4, len(y)).astype(float)
    for average in ("macro", "micro", "weighted"):
        metric = Component(name="average_precision", arguments={"average": average})
        ours = measure([metric], "classification", y, p, n_classes, weights)[label(metric)]
        truth = y[:, None] == np.arange(n_classes)
        theirs = reference.average_precision_score(
            truth, p, average=average, sample_weight=weights
        )
        assert ours == pytest.approx(theirs, abs=1e-12)


@given(st.integers(0, 10_000), st.sampled_from([0, 1]))
@settings(max_examples=50, deadline=None)
def test_swapping_the_classes_swaps_the_positive_one(seed: int, positive: int) -> None:
    y, p = _classification(40, 2, seed)
    metrics = [m for m in _variants("classification") if m.arguments.get("average") == "binary"]
    one = own.measure(metrics, "classification", y, p, 2, positive=positive)
    other = own.measure(metrics, "classification", 1 - y, p[:, ::-1], 2, positive=1 - positive)
    has_ties = (p[:, 0] == p[:, 1]).any()  # which go to the first class
    if not has_ties:
        assert other == pytest.approx(one, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_one_bad_prediction_makes_everything_nan(bad: float) -> None:
    y, p = _classification(20, 3, 0)
    p[7, 1] = bad
    values = measure(_variants("classification"), "classification", y, p, 3)
    assert all(math.isnan(value) for value in values.values())
    assert len(values) == len(_variants("classification"))
    predicted = np.array([1.0, bad])
    values = measure(_variants("regression"), "regression", np.array([1.0, 2.0]), predicted, 0)
    assert all(math.isnan(value) for value in values.values())


@pytest.mark.parametrize(
    ("y", "predicted", "expected"),
    [([3.0], [3.0], math.nan), ([2.0, 2.0], [2.0, 2.0], 1.0), ([2.0, 2.0], [1.0, 2.0], 0.0)],
)
def test_r2_at_its_edges(y: list[float], predicted: list[float], expected: float) -> None:
    ours = measure([Component(name="r2")], "regression", np.array(y), np.array(predicted), 0)
    assert ours["r2"] == pytest.approx(expected, nan_ok=True)


def test_a_certain_mistake_costs_a_finite_log_loss() -> None:
    y, p = np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])
    loss = measure([Component(name="log_loss")], "classification", y, p, 2)["log_loss"]
    assert loss == pytest.approx(-math.log(np.finfo(np.float64).eps) / 2)


def test_labels_tell_metrics_apart() -> None:
    everything = _variants("classification") + _variants("regression")
    labels = [label(metric) for metric in everything]
    assert len(set(labels)) == len(labels)
    assert label(Component(name="f1")) == label(
        Component(name="f1", arguments={"average": "macro"})
    )
    assert "f1_micro" in labels
    y, p = _classification(20, 3, 0)
    both = [Component(name="f1"), Component(name="f1", arguments={"average": "weighted"})]
    assert set(measure(both, "classification", y, p, 3)) == {"f1", "f1_weighted"}


@pytest.mark.parametrize("seed", range(60))
def test_what_a_metric_needs_is_known_before_anything_is_predicted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    task: Task = "regression" if seed % 3 == 0 else "classification"
    n, n_classes = int(rng.integers(1, 6)), int(rng.integers(2, 4))
    classes = [f"c{i}" for i in range(n_classes)] if task == "classification" else []
    y = rng.integers(0, n_classes, n) if classes else rng.integers(0, 2, n).astype(float)
    weights = rng.integers(0, 2, n) + (rng.permutation(n) == 0) if seed % 2 else None
    weights = None if weights is None else weights.astype(np.float64)
    metrics = _variants(task)
    found = []
    for _ in range(8):
        drawn = rng.dirichlet(np.ones(n_classes), n) if classes else rng.normal(size=n)
        found.append(measure(metrics, task, y, drawn, len(classes), weights))
    for metric in metrics:
        values = {values[label(metric)] for values in found}
        is_nan = all(map(math.isnan, values))
        assert is_nan == any(map(math.isnan, values))
        assert is_nan == bool(why_undefined(metric, y, classes, weights)), metric
        if constant(metric, y, classes, weights) and not is_nan:
            assert values in ({0.0}, {1.0})
        if is_nan:
            assert metric_needs(label(metric))


def test_values_lie_within_what_a_metric_can_be() -> None:
    rng = np.random.default_rng(0)
    for info in METRICS.values():
        if info.tasks in ((), ("language_modeling",)):
            continue
        task = info.tasks[0]
        n_classes = 3 * (task == "classification")
        y = rng.integers(0, 3, 30) + (not n_classes)
        drawn = rng.dirichlet(np.ones(3), 30) if n_classes else rng.normal(size=30)
        if task == "multilabel":
            y, drawn = rng.integers(0, 2, (30, 3)), rng.random((30, 3))
        metrics = [one for one in _variants(task) if one.name == info.name]
        for value in measure(metrics, task, y, drawn, n_classes).values():
            assert info.lowest <= value <= info.highest


def test_mape_of_a_target_of_zero_is_not_defined() -> None:
    y = np.array([1.0, 0.0, 2.0])
    mape = Component(name="mape")
    assert math.isnan(measure([mape], "regression", y, y, 0)["mape"])
    assert "0" in why_undefined(mape, y, [])
    assert not why_undefined(mape, y[[0, 2]], [])


def test_the_top_classes_are_those_of_accuracy() -> None:
    y, p = _classification(200, 4, seed=3)
    metrics = [Component(name="accuracy")]
    metrics += [Component(name="top_k_accuracy", arguments={"k": k}) for k in (1, 2, 3, 4)]
    values = list(measure(metrics, "classification", y, p, 4).values())
    assert values[0] == values[1] < values[2] < values[3] < values[4] == 1


def test_what_all_predictions_reach_is_told() -> None:
    y = np.arange(6) % 3
    top = Component(name="top_k_accuracy", arguments={"k": 3})
    assert "1 for any predictions" in constant(top, y, ["a", "b", "c"])
    kappa = Component(name="cohen_kappa")
    assert "0 for any predictions" in constant(kappa, np.zeros(5), ["a", "b"])
    assert not constant(kappa, y, ["a", "b", "c"])


@given(st.floats(0, 1), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_the_quantile_is_the_best_constant_by_pinball(alpha: float, seed: int) -> None:
    y = np.random.default_rng(seed).normal(size=101)
    pinball = Component(name="pinball", arguments={"alpha": alpha})

    def loss(guess: float) -> float:
        (value,) = measure([pinball], "regression", y, np.full(101, guess), 0).values()
        return value

    best = loss(float(np.quantile(y, alpha, method="inverted_cdf")))
    assert all(best <= loss(other) + 1e-12 for other in y[::10])


@pytest.mark.parametrize("n_classes", [2, 3, 9])
def test_mcc_of_a_constant_prediction_is_0_with_any_weights(n_classes: int) -> None:
    """Rounding makes the variance of the predicted classes negative in about every third case."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        n = int(rng.integers(5, 200))
        y, weights = rng.integers(0, n_classes, n), rng.random(n) + 0.01
        p = np.tile(np.eye(n_classes)[0], (n, 1))
        measured = measure([Component(name="mcc")], "classification", y, p, n_classes, weights)
        assert measured["mcc"] == pytest.approx(0, abs=1e-6)
