"""The threshold against all thresholds there are, with scikit-learn's metrics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from held_out_cases import planted
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import precision_score, recall_score
from study_makers import CONFIG

from tunecli.model_folder.adjust.calibrate import is_reliable
from tunecli.model_folder.adjust.choose_threshold import (
    CHOOSING,
    ChoosingMetric,
    ThresholdTable,
    choosing_metric,
    values_at,
)
from tunecli.model_folder.adjust.held_out import HeldOut
from tunecli.study_file.settings.settings import Component, Objective
from tunecli.training.outcome.decision import Decision

REFERENCE: dict[str, Callable[..., float]] = {
    "accuracy": sklearn_metrics.accuracy_score,
    "balanced_accuracy": sklearn_metrics.balanced_accuracy_score,
    "f1": lambda y, p, sample_weight: sklearn_metrics.f1_score(
        y, p, average="macro", sample_weight=sample_weight, zero_division=0
    ),
    "fbeta": lambda y, p, sample_weight: sklearn_metrics.fbeta_score(
        y, p, beta=2, average="macro", sample_weight=sample_weight, zero_division=0
    ),
    "mcc": sklearn_metrics.matthews_corrcoef,
    "cohen_kappa": sklearn_metrics.cohen_kappa_score,
}
ARGUMENTS = {"fbeta": {"beta": 2}}


def chooser(name: str) -> ChoosingMetric:
    return ChoosingMetric(Component(name=name, arguments=ARGUMENTS.get(name, {})), "maximize")


def test_every_choosing_metric_has_a_reference() -> None:
    assert REFERENCE.keys() == CHOOSING


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("name", sorted(CHOOSING))
def test_the_best_threshold_is_that_of_brute_force(
    name: str, positive: int, weighted: bool
) -> None:
    weights = np.random.default_rng(1).exponential(size=150) if weighted else None
    rows = planted(n=150, shift=-1.5, weights=weights)
    scores = rows.probabilities[:, positive].astype(float)
    distinct = np.unique(scores)
    tried = np.unique([*(distinct[1:] + distinct[:-1]) / 2, 0.5])

    def value(threshold: float) -> float:
        predicted = np.where(scores >= threshold, positive, 1 - positive)
        return REFERENCE[name](rows.y, predicted, sample_weight=rows.weights)

    values = np.array([value(one) for one in tried])
    best = tried[values >= values.max() - 1e-12]
    table = ThresholdTable.of(rows, positive)
    found = table.best(chooser(name))
    assert found == best[np.abs(best - 0.5).argmin()]
    metric = chooser(name).metric
    np.testing.assert_allclose([table.value(metric, one) for one in tried], values, atol=1e-12)
    [at_best] = values_at([rows], chooser(name), positive, [Decision(positive, found)])
    assert at_best == pytest.approx(values.max())


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=30),
    st.sampled_from(sorted(CHOOSING)),
)
def test_nothing_is_better_than_the_chosen_threshold(
    drawn: list[tuple[int, bool]], name: str
) -> None:
    scores = np.array([score / 8 for score, _ in drawn], np.float32)
    y = np.array([is_positive for _, is_positive in drawn], np.int64)
    places = np.arange(len(y))
    rows = HeldOut(places, places % 2, y, np.stack([1 - scores, scores], axis=1))
    table = ThresholdTable.of(rows, 1)
    best = table.best(chooser(name))
    assert 0 < best < 1
    metric = chooser(name).metric
    for one in table.thresholds():
        assert table.value(metric, one) <= table.value(metric, best) + 1e-9


def test_a_metric_to_minimize_chooses_its_smallest_value() -> None:
    rows = planted(n=80)
    table = ThresholdTable.of(rows, 1)
    fewest = ChoosingMetric(Component(name="accuracy"), "minimize")
    values = [table.value(fewest.metric, one) for one in table.thresholds()]
    assert table.value(fewest.metric, table.best(fewest)) == min(values)


def test_of_many_thresholds_some_are_compared() -> None:
    table = ThresholdTable.of(planted(n=5000), 1)
    thresholds = table.thresholds()
    assert 900 < len(thresholds) <= 1001
    assert 0.5 in thresholds
    found, best = table.best(chooser("f1")), 0.5
    metric = chooser("f1").metric
    assert table.value(metric, found) == pytest.approx(table.value(metric, best), abs=0.02)


def test_operating_points_are_those_of_scikit_learn() -> None:
    weights = np.random.default_rng(1).exponential(size=400)
    rows = planted(n=400, shift=-2.0, weights=weights)
    table = ThresholdTable.of(rows, 1)
    points = table.points(0.123)
    assert 0.123 in {point.threshold for point in points}
    assert 0.5 in {point.threshold for point in points}
    assert [point.threshold for point in points] == sorted(point.threshold for point in points)
    for point in (*points, *table.curve()):
        predicted = rows.probabilities[:, 1].astype(float) >= point.threshold
        named = {"sample_weight": rows.weights, "zero_division": 0}
        assert point.recall == pytest.approx(recall_score(rows.y, predicted, **named))
        assert point.precision == pytest.approx(precision_score(rows.y, predicted, **named))
        assert point.share == pytest.approx(np.average(predicted, weights=rows.weights))


def test_without_a_row_predicted_positive_precision_is_not_defined() -> None:
    y = np.array([0, 1, 0, 1])
    low = np.array([[0.9, 0.1]] * 4, np.float32)
    [point] = ThresholdTable.of(HeldOut(np.arange(4), y, y, low), 1).points(0.5)
    assert (point.precision, point.recall, point.share) == (None, 0.0, 0.0)


@pytest.mark.parametrize(
    ("objective", "shown", "expected"),
    [
        ("f1", ["accuracy"], "f1"),
        ("roc_auc", ["log_loss", "mcc", "accuracy"], "mcc"),
        ("log_loss", ["roc_auc"], None),
        ("recall", ["precision", "balanced_accuracy"], "balanced_accuracy"),
        ("precision", [], None),
        ("log_loss", ["own.py:accuracy", "cohen_kappa"], "cohen_kappa"),
    ],
)
def test_the_first_metric_with_a_best_threshold_chooses(
    objective: str, shown: list[str], expected: str | None
) -> None:
    config = CONFIG.model_copy(
        update={
            "objective": Objective(direction="maximize", metric=Component(name=objective)),
            "metrics": tuple(Component(name=name) for name in shown),
        }
    )
    found = choosing_metric(config)
    assert (found and found.name) == expected


def is_kept(rows: HeldOut, name: str) -> bool:
    """Whether a threshold is kept, judged as for a model."""
    judged = [part for _, part in rows.splits]
    chosen = [ThresholdTable.of(fitted, 1).best(chooser(name)) for fitted, _ in rows.splits]
    decisions = [Decision(1, one) for one in chosen]
    before = values_at(judged, chooser(name), 1, [None] * len(judged))
    after = values_at(judged, chooser(name), 1, decisions)
    return is_reliable(np.subtract(after, before))


@pytest.mark.parametrize(
    ("name", "shift", "fewest", "most"),
    [
        ("accuracy", 0.0, 0, 9),  # half is best
        ("balanced_accuracy", -2.5, 31, 40),  # the positive class is rare, and half finds none
    ],
)
def test_a_threshold_is_kept_in_about_a_fifth_if_it_gains_nothing_and_else_mostly(
    name: str, shift: float, fewest: int, most: int
) -> None:
    kept = sum(is_kept(planted(seed, n=150, shift=shift), name) for seed in range(40))
    assert fewest <= kept <= most
