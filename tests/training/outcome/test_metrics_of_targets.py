"""Metrics of several values and of labels against scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as reference

from tunecli.data.user_code.import_user_code import permit
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.metric_names import METRICS, label
from tunecli.study_file.settings.settings import Component
from tunecli.training.outcome.decision import LabelDecision, measure_decided
from tunecli.training.outcome.metrics import measure, why_undefined

NAMES = ("a", "b", "c", "d")


def _labels(n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities that know something of them, and weights."""
    draws = np.random.default_rng(0)
    y = (draws.random((n, 4)) < [0.5, 0.3, 0.1, 0.7]).astype(np.float64)
    probabilities = np.clip(0.3 * y + 0.7 * draws.random((n, 4)), 0.01, 0.99)
    return y, probabilities, draws.random(n)


def _value(name: str, y: np.ndarray, p: np.ndarray, weights: object, **arguments: object) -> float:
    metric = Component(name=name, arguments=arguments)
    measured = measure([metric], "multilabel", y, p, 0, weights)  # type: ignore[arg-type]
    return measured[label(metric)]


AVERAGES = ("macro", "micro", "weighted")
WEIGHTED = pytest.mark.parametrize("is_weighted", [False, True])


@WEIGHTED
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", ["f1", "precision", "recall", "fbeta"])
def test_metrics_of_predicted_labels(name: str, average: str, is_weighted: bool) -> None:
    y, p, w = _labels()
    weights = w if is_weighted else None
    beta = {"beta": 2} if name == "fbeta" else {}
    score = getattr(reference, f"{name}_score")
    wanted = score(y, p >= 0.5, average=average, sample_weight=weights, zero_division=0, **beta)
    assert _value(name, y, p, weights, average=average, **beta) == pytest.approx(wanted)


@WEIGHTED
@pytest.mark.parametrize("average", AVERAGES)
def test_ranking_metrics(average: str, is_weighted: bool) -> None:
    y, p, w = _labels()
    weights = w if is_weighted else None
    wanted = reference.average_precision_score(y, p, average=average, sample_weight=weights)
    assert _value("average_precision", y, p, weights, average=average) == pytest.approx(wanted)
    if average != "micro":
        wanted = reference.roc_auc_score(y, p, average=average, sample_weight=weights)
        assert _value("roc_auc", y, p, weights, average=average) == pytest.approx(wanted)


@WEIGHTED
def test_metrics_of_whole_rows(is_weighted: bool) -> None:
    y, p, w = _labels()
    weights = w if is_weighted else None
    hamming = reference.hamming_loss(y, p >= 0.5, sample_weight=weights)
    subset = reference.accuracy_score(y, p >= 0.5, sample_weight=weights)
    assert _value("hamming", y, p, weights) == pytest.approx(hamming)
    assert _value("subset_accuracy", y, p, weights) == pytest.approx(subset)
    losses = [
        reference.log_loss(a, b, sample_weight=weights) for a, b in zip(y.T, p.T, strict=True)
    ]
    briers = [
        reference.brier_score_loss(a, b, sample_weight=weights)
        for a, b in zip(y.T, p.T, strict=True)
    ]
    assert _value("log_loss", y, p, weights) == pytest.approx(np.mean(losses))
    assert _value("brier", y, p, weights) == pytest.approx(np.mean(briers))


def test_a_label_without_rows_has_an_f1_of_zero_and_no_ranking() -> None:
    y, p, _ = _labels()
    y[:, 2] = 0
    expected = reference.f1_score(y, p >= 0.5, average="macro", zero_division=0)
    assert _value("f1", y, p, None) == pytest.approx(expected)
    assert math.isnan(_value("average_precision", y, p, None))
    assert math.isfinite(_value("average_precision", y, p, None, average="micro"))
    reasons = {
        name: why_undefined(Component(name=name), y, NAMES)
        for name in ("roc_auc", "f1", "log_loss")
    }
    assert reasons == {
        "roc_auc": "no row has the label 'c', but roc_auc needs some",
        "f1": "",
        "log_loss": "",
    }
    y[:, 2] = 1
    assert "every row has the label 'c'" in why_undefined(Component(name="roc_auc"), y, NAMES)
    assert why_undefined(Component(name="average_precision"), y, NAMES) == ""


def test_nothing_is_predicted_and_nothing_there() -> None:
    y, p = np.zeros((5, 2)), np.full((5, 2), 0.1)
    for average in AVERAGES:
        assert _value("f1", y, p, None, average=average) == 0
    assert _value("hamming", y, p, None) == 0


def test_predictions_that_are_not_finite_have_no_score() -> None:
    y, p, _ = _labels(5)
    p[3, 1] = math.nan
    assert math.isnan(_value("f1", y, p, None))


@WEIGHTED
@pytest.mark.parametrize(
    "name", [one.name for one in METRICS.values() if "regression" in one.tasks]
)
def test_values_are_averaged_over_the_targets(name: str, is_weighted: bool) -> None:
    draws = np.random.default_rng(0)
    y = draws.normal(size=(60, 3)) * [1, 10, 1000] + 5
    predicted, weights = y + draws.normal(size=y.shape), draws.random(60) if is_weighted else None
    metric = Component(name=name)
    [value] = measure([metric], "regression", y, predicted, 0, weights).values()
    single = [
        measure([metric], "regression", a, b, 0, weights)[label(metric)]
        for a, b in zip(y.T, predicted.T, strict=True)
    ]
    assert value == pytest.approx(np.mean(single))
    if name == "r2":
        assert value == pytest.approx(reference.r2_score(y, predicted, sample_weight=weights))


def test_a_single_column_has_the_bits_of_a_single_target() -> None:
    draws = np.random.default_rng(0)
    y, predicted = draws.normal(size=(2, 1000))
    metrics = [Component(name=one.name) for one in METRICS.values() if "regression" in one.tasks]
    several = measure(metrics, "regression", y[:, None], predicted[:, None], 0)
    assert several == measure(metrics, "regression", y, predicted, 0)


def test_each_label_has_its_threshold() -> None:
    y, p, _ = _labels()
    thresholds = (0.3, 0.5, 0.9, 0.4)
    metrics = [Component(name="f1"), Component(name="hamming"), Component(name="log_loss")]
    decided = measure_decided(
        metrics, "multilabel", y, p, 0, None, None, LabelDecision(thresholds)
    )
    chosen = p >= thresholds
    assert decided["f1"] == pytest.approx(reference.f1_score(y, chosen, average="macro"))
    assert decided["hamming"] == pytest.approx(reference.hamming_loss(y, chosen))
    assert decided["log_loss"] == measure(metrics, "multilabel", y, p, 0)["log_loss"]


OWN = """
def share_right(y_true, y_pred):
    return float((y_true == y_pred).mean())

def smallest(y_true, y_prob):
    return float(y_prob.min())

def error(y_true, y_pred):
    return float(abs(y_true - y_pred).mean())
"""


def test_a_metric_of_ones_own_gets_labels_probabilities_or_values(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    permit(AllowedCode.of(tmp_path, ["own.py"]))
    y, p, _ = _labels(40)
    right, smallest, error = (
        Component(name=f"own.py:{name}") for name in ("share_right", "smallest", "error")
    )
    measured = measure([right, smallest, Component(name="hamming")], "multilabel", y, p, 0)
    assert measured["share_right"] == pytest.approx(1 - measured["hamming"])
    assert measured["smallest"] == p.min()
    metrics = [error, Component(name="mae")]
    measured = measure(metrics, "regression", 10 * y, p, 0)
    assert measured["error"] == pytest.approx(measured["mae"])
