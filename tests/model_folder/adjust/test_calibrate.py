"""The temperature against a grid and a planted truth, and its error against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from held_out_cases import planted
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss as sklearn_log_loss

from tunecli.model_folder.adjust.calibrate import (
    FEWEST,
    LEVEL,
    calibration,
    calibration_error,
    fitted_temperature,
    is_reliable,
    log_loss,
    n_uncommon,
)
from tunecli.model_folder.adjust.held_out import HeldOut
from tunecli.training.outcome.adjustment import Calibration


def calibrated(rows: HeldOut) -> Calibration:
    return calibration(rows, [fitted_temperature(fitted) for fitted, _ in rows.splits])


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_temperature_is_the_best_of_a_grid(n_classes: int, weighted: bool) -> None:
    weights = np.random.default_rng(1).exponential(size=400) if weighted else None
    rows = planted(n=400, n_classes=n_classes, sharpness=2.0, weights=weights)
    grid = np.exp(np.linspace(np.log(1.2), np.log(4.0), 400))
    logs = np.log(rows.probabilities.astype(float))
    losses = [
        sklearn_log_loss(rows.y, softmax(logs / one, axis=1), sample_weight=rows.weights)
        for one in grid
    ]
    assert fitted_temperature(rows) == pytest.approx(grid[np.argmin(losses)], rel=0.005)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.4, 4.0), st.integers(2, 4))
def test_a_planted_temperature_is_found(sharpness: float, n_classes: int) -> None:
    rows = planted(n=4000, n_classes=n_classes, sharpness=sharpness)
    assert fitted_temperature(rows) == pytest.approx(sharpness, rel=0.12)


@pytest.mark.parametrize("n_folds", [1, 2, 5])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_overconfident_predictions_get_a_better_log_loss_and_calibration_error(
    n_folds: int, n_classes: int
) -> None:
    rows = planted(n=1500, n_classes=n_classes, sharpness=3.0, n_folds=n_folds)
    found = calibrated(rows)
    assert found.is_kept
    assert found.log_loss.after < 0.8 * found.log_loss.before
    assert found.error.after < 0.4 * found.error.before
    folds = [part for _, part in rows.splits]
    assert found.log_loss.before == pytest.approx(np.mean([log_loss(part) for part in folds]))
    once_more = calibrated(rows.tempered(found.temperature))
    assert once_more.temperature == pytest.approx(1.0, abs=1e-3)
    assert not once_more.is_kept


def test_calibrated_predictions_are_left_alone() -> None:
    kept = [calibrated(planted(seed, n=400)).is_kept for seed in range(40)]
    assert sum(kept) <= 6  # at a level of 20 %, with fitted temperatures


@pytest.mark.parametrize("sharpness", [2.0, 3.0])
def test_what_a_temperature_gains_is_gained(sharpness: float) -> None:
    kept = [calibrated(planted(seed, n=400, sharpness=sharpness)).is_kept for seed in range(20)]
    assert sum(kept) >= 19


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, FEWEST + 3), st.integers(1, 3))
def test_of_few_rows_outside_the_commonest_class_no_temperature_is_kept(
    seed: int, n_uncommon_rows: int, repeats: int
) -> None:
    rows = planted(seed, n=300, sharpness=6.0, repeats=repeats)
    rare = np.flatnonzero(rows.y[:300] == 1)[:n_uncommon_rows]
    chosen = np.isin(rows.rows, [*np.flatnonzero(rows.y[:300] == 0), *rare])
    found = rows.at(chosen)
    assert n_uncommon(found) == n_uncommon_rows
    if n_uncommon_rows < FEWEST:
        assert not calibrated(found).is_kept


def test_the_order_of_classes_stays() -> None:
    rows = planted(n_classes=4, sharpness=3.0)
    warmer = rows.tempered(fitted_temperature(rows))
    np.testing.assert_array_equal(
        rows.probabilities.argsort(axis=1), warmer.probabilities.argsort(axis=1)
    )


def test_a_temperature_without_a_minimum_is_not_kept() -> None:
    """All rows are right, so the sharpest temperature is the best: it would be overconfident."""
    n = 200
    y = np.arange(n) % 2
    certain = np.where(np.eye(2)[y] > 0, 0.8, 0.2).astype(np.float32)
    found = calibrated(HeldOut(np.arange(n), np.arange(n) % 7 % 5, y, certain))
    assert found.temperature < 0.11
    assert found.log_loss.after < found.log_loss.before
    assert not found.is_kept


def test_probabilities_of_0_do_no_harm() -> None:
    rows = planted(n=300, sharpness=200.0)
    assert (rows.probabilities == 0).any()
    found = calibrated(rows)
    assert np.isfinite([found.log_loss.before, found.log_loss.after, found.temperature]).all()


def test_the_calibration_error_is_that_of_its_definition() -> None:
    rows = planted(n=300, n_classes=3, sharpness=2.0)
    certainty = rows.probabilities.max(1).astype(float)
    right = rows.probabilities.argmax(1) == rows.y
    order = np.argsort(certainty)  # 15 bins of 20 rows
    bins = order.reshape(15, 20)
    expected = np.mean(np.abs(right[bins].mean(1) - certainty[bins].mean(1)))
    assert calibration_error([rows]) == pytest.approx(expected)
    halves = [rows.at(np.arange(100)), rows.at(np.arange(100, 300))]
    assert calibration_error(halves) == pytest.approx(expected)


def test_equal_weights_give_the_calibration_error_without_weights() -> None:
    plain, weighted = planted(n=321), planted(n=321, weights=np.full(321, 3.0))
    assert calibration_error([weighted]) == pytest.approx(calibration_error([plain]))
    assert fitted_temperature(weighted) == pytest.approx(fitted_temperature(plain))


def test_a_gain_is_reliable_by_a_t_test() -> None:
    from scipy.stats import ttest_1samp

    rng = np.random.default_rng(0)
    for _ in range(200):
        gains = rng.normal(0.4, 1.0, rng.integers(2, 12))
        expected = ttest_1samp(gains, 0.0, alternative="greater").pvalue < LEVEL
        assert is_reliable(gains) == expected
    assert not is_reliable(np.zeros(5))
