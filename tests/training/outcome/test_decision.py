"""The predicted class by a threshold, and the metrics of what is predicted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, r2_score, recall_score, roc_auc_score

from tunecli.study_file.settings.metric_names import METRICS
from tunecli.study_file.settings.settings import Component
from tunecli.training.outcome.decision import (
    OF_PREDICTED_CLASS,
    Decision,
    LabelDecision,
    mean_of_targets,
    measure_decided,
    measure_targets,
    predicted_classes,
)
from tunecli.training.outcome.metrics import measure

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 200)
OF_SECOND = (0.6 * RNG.random(200) + 0.2 * Y).astype(np.float32)
PROBABILITIES = np.stack([1 - OF_SECOND, OF_SECOND], axis=1)
ALL = [Component(name=name) for name in ("accuracy", "f1", "roc_auc", "log_loss")]


def measured(decision: Decision | None, predictions: np.ndarray = PROBABILITIES) -> dict:
    return measure_decided(ALL, "classification", Y, predictions, 2, None, None, decision)


def test_without_a_decision_the_most_probable_class_is_predicted() -> None:
    expected = measure(ALL, "classification", Y, PROBABILITIES, 2)
    assert measured(None) == expected
    np.testing.assert_array_equal(predicted_classes(PROBABILITIES, None), PROBABILITIES.argmax(1))


@pytest.mark.parametrize("positive", [0, 1])
def test_metrics_of_the_class_follow_the_threshold_and_others_do_not(positive: int) -> None:
    found = measured(Decision(positive, 0.3))
    classes = np.where(PROBABILITIES[:, positive] >= 0.3, positive, 1 - positive)
    assert found["accuracy"] == pytest.approx(accuracy_score(Y, classes))
    assert found["f1"] == pytest.approx(f1_score(Y, classes, average="macro"))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(Y, OF_SECOND))
    assert found["log_loss"] == measured(None)["log_loss"]


def test_scores_stay_in_the_order_of_the_metrics() -> None:
    turned = [Component(name=name) for name in ("roc_auc", "f1", "log_loss", "accuracy")]
    args = ("classification", Y, PROBABILITIES, 2, None, None)
    for decision in (None, Decision(1, 0.3)):
        names = [metric.name for metric in turned]
        assert list(measure_decided(turned, *args, decision)) == names


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_higher_threshold_predicts_the_class_for_fewer_rows(one: float, other: float) -> None:
    low, high = sorted([one, other])
    of_low, of_high = (Decision(1, t).classes(PROBABILITIES) for t in (low, high))
    assert (of_low >= of_high).all()


def test_a_threshold_between_two_neighbouring_probabilities_separates_them() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    middle = (float(low) + float(high)) / 2
    pair = np.array([[1 - low, low], [1 - high, high]], np.float32)
    assert Decision(1, middle).classes(pair).tolist() == [0, 1]


def test_predictions_that_are_not_finite_have_no_metrics() -> None:
    broken = PROBABILITIES.copy()
    broken[3] = np.nan
    assert all(map(math.isnan, measured(Decision(1, 0.3), broken).values()))


def test_every_metric_of_classes_is_known_as_one_of_either_kind() -> None:
    of_classes = {info.name for info in METRICS.values() if "classification" in info.tasks}
    assert of_classes - OF_PREDICTED_CLASS <= {"roc_auc", "log_loss", "brier", "average_precision"}


def test_each_label_is_measured_alone_by_its_own_threshold() -> None:
    y = RNG.integers(0, 2, (200, 3)).astype(np.float64)
    probabilities = RNG.random((200, 3)).astype(np.float32)
    weights = RNG.random(200)
    metrics = [Component(name=name) for name in ("f1", "recall")]
    thresholds = (0.2, 0.5, 0.9)
    of_targets = measure_targets(
        "abc", metrics, "multilabel", y, probabilities, weights, LabelDecision(thresholds)
    )
    assert list(of_targets) == ["a", "b", "c"]
    for number, scores in enumerate(of_targets.values()):
        predicted = probabilities[:, number] >= thresholds[number]
        true = y[:, number]
        assert scores == {
            "prevalence": pytest.approx(np.average(true, weights=weights)),
            "f1": pytest.approx(f1_score(true, predicted, sample_weight=weights)),
            "recall": pytest.approx(recall_score(true, predicted, sample_weight=weights)),
        }


def test_values_have_no_prevalence_and_what_one_fold_lacks_has_no_mean() -> None:
    y, metrics = RNG.normal(size=(40, 2)), [Component(name="r2")]
    predictions = y + 0.1 * RNG.normal(size=y.shape)
    parts = (slice(0, 20), slice(20, 39), slice(39, 40))  # r2 needs two rows
    of_folds = [
        measure_targets(("u", "v"), metrics, "regression", y[part], predictions[part])
        for part in parts
    ]
    expected = [
        np.mean([r2_score(y[part, n], predictions[part, n]) for part in parts[:2]]) for n in (0, 1)
    ]
    found = mean_of_targets(of_folds[:2])
    assert found == {
        name: {"r2": pytest.approx(v)} for name, v in zip("uv", expected, strict=True)
    }
    assert math.isnan(mean_of_targets(of_folds)["u"]["r2"])
    assert mean_of_targets([]) == {}
