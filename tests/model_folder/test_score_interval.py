"""Intervals of test scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tunecli.model_folder.score_interval import Predicted, score_intervals
from tunecli.study_file.settings.settings import Component

ACCURACY, RMSE, AUC = (Component(name=name) for name in ("accuracy", "rmse", "roc_auc"))


def of_hits(hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes of two, and probabilities that are right where `hits` says so."""
    y = np.zeros(len(hits), dtype=np.int64)
    y[::2] = 1
    predicted = np.where(hits, y, 1 - y)
    return y, np.eye(2, dtype=np.float32)[predicted]


def test_the_interval_of_a_share_is_the_binomial_one() -> None:
    y, predictions = of_hits(np.arange(400) % 10 != 0)
    found = score_intervals([ACCURACY], Predicted("classification", y, predictions, 2))["accuracy"]
    spread = math.sqrt(0.9 * 0.1 / 400)
    assert found.score == 0.9
    np.testing.assert_allclose(
        [found.low, found.high], [0.9 - 1.96 * spread, 0.9 + 1.96 * spread], atol=0.006
    )


def test_it_is_what_scipy_s_percentile_bootstrap_gives() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=300).astype(np.float32)
    predictions = (y + rng.normal(0, 0.5, 300)).astype(np.float32)
    found = score_intervals([RMSE], Predicted("regression", y, predictions, 0))["rmse"]

    def rmse(errors: np.ndarray, axis: int) -> np.ndarray:
        return np.sqrt(np.mean(errors**2, axis=axis))

    expected = stats.bootstrap(
        (y - predictions,), rmse, method="percentile", rng=2
    ).confidence_interval
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.01)


@pytest.mark.parametrize("n", [1, 20, 60, 1000])
def test_an_accuracy_of_one_is_not_certain(n: int) -> None:
    y, predictions = of_hits(np.ones(n, dtype=bool))
    found = score_intervals([ACCURACY], Predicted("classification", y, predictions, 2))
    assert found["accuracy"].high == 1.0
    assert found["accuracy"].low == pytest.approx(n / (n + stats.norm.ppf(0.975) ** 2))
    assert found["accuracy"].error > 0


def test_a_perfect_score_of_another_metric_has_no_interval() -> None:
    y, predictions = of_hits(np.ones(50, dtype=bool))
    metrics = [Component(name="f1"), ACCURACY, Component(name="balanced_accuracy")]
    found = score_intervals(metrics, Predicted("classification", y, predictions, 2, positive=1))
    assert [name for name, one in found.items() if one.is_known] == ["accuracy"]


def test_rows_with_weights_are_drawn() -> None:
    y, predictions = of_hits(np.arange(100) % 4 != 0)
    equal = Predicted("classification", y, predictions, 2, np.ones(100))
    found = score_intervals([ACCURACY], equal)["accuracy"]
    assert found.score == 0.75
    np.testing.assert_allclose([found.low, found.high], [0.66, 0.83], atol=0.02)


def test_rows_of_weight_zero_do_not_count() -> None:
    y, predictions = of_hits(np.arange(40) % 4 != 0)
    weights = np.zeros(40)
    weights[:3] = 1.0
    weighted = Predicted("classification", y, predictions, 2, weights)
    equal = Predicted("classification", y[:3], predictions[:3], 2, np.ones(3))
    assert score_intervals([ACCURACY], weighted) == score_intervals([ACCURACY], equal)


def test_it_is_the_same_each_time_and_holds_the_score() -> None:
    y, predictions = of_hits(np.arange(50) % 3 != 0)
    first, second = (
        score_intervals([ACCURACY, AUC], Predicted("classification", y, predictions, 2))
        for _ in "ab"
    )
    assert first == second
    assert all(found.low <= found.score <= found.high for found in first.values())


def test_samples_without_a_class_are_left_out() -> None:
    y = np.array([0] * 9 + [1])
    predictions = np.eye(2, dtype=np.float32)[[0] * 8 + [1, 1]]
    found = score_intervals([AUC], Predicted("classification", y, predictions, 2))["roc_auc"]
    assert math.isfinite(found.low)
    assert math.isfinite(found.high)
