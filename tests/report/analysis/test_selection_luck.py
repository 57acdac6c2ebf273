"""Luck and noise against scores whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.report.analysis.selection_luck import fold_noise, winners_luck

N_STUDIES = 150


def truths(kind: str, n: int, draw: np.random.Generator) -> np.ndarray:
    """True scores in standard errors of the noise."""
    match kind:
        case "equal":
            return np.zeros(n)
        case "spread":
            return draw.normal(0.0, 2.0, n)
        case "few good ones":
            return -draw.exponential(3.0, n)
        case _:
            return -20 * (draw.random((n, 2)) ** 2).sum(axis=1)


@pytest.mark.parametrize("n_trials", [10, 40])
@pytest.mark.parametrize("kind", ["equal", "spread", "few good ones", "bump"])
def test_luck_is_estimated_whatever_the_true_scores_are(kind: str, n_trials: int) -> None:
    found, true = [], []
    for seed in range(N_STUDIES):
        draw = np.random.default_rng(seed)
        noise = draw.normal(size=n_trials)
        values = truths(kind, n_trials, draw) + noise
        found.append(winners_luck(values, 1.0, draw))
        true.append(noise[values.argmax()])
    error = math.sqrt(1 / N_STUDIES)
    assert np.mean(found) == pytest.approx(np.mean(true), abs=3 * error)
    assert np.mean(np.subtract(true, found) ** 2) < 1.6, "little more than the noise itself"


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.floats(0, 10))
def test_luck_is_never_negative_and_zero_without_noise(values: list[float], noise: float) -> None:
    luck = winners_luck(np.array(values), noise**2, np.random.default_rng(0))
    assert 0 <= luck < 4 * noise or noise == luck == 0


def test_luck_grows_with_the_number_of_trials() -> None:
    draw = np.random.default_rng(0)
    lucks = [winners_luck(draw.normal(size=n), 1.0, draw) for n in (2, 10, 50, 400)]
    assert lucks == sorted(lucks)


def planted_scores(
    n_trials: int, n_repeats: int, n_folds: int, of_rows: float, of_training: float, seed: int
) -> np.ndarray:
    """Noise of rows is the same in all repeats, but for which fold a row is in."""
    draw = np.random.default_rng(seed)
    shape = (n_trials, n_repeats, n_folds)
    rows = draw.normal(0.0, of_rows, shape)
    whole = draw.normal(0.0, of_rows / math.sqrt(n_folds), (n_trials, 1, 1))
    rows += whole - rows.mean(axis=2, keepdims=True)
    folds = draw.normal(0.0, 0.05, (1, n_repeats, n_folds))
    return 0.9 + rows + folds + draw.normal(0.0, of_training, shape)


@pytest.mark.parametrize("n_repeats", [1, 4])
@pytest.mark.parametrize(("of_rows", "of_training"), [(0.01, 0.0), (0.0, 0.01), (0.01, 0.01)])
def test_repeats_average_out_the_noise_of_training_only(
    n_repeats: int, of_rows: float, of_training: float
) -> None:
    n_folds = 5
    scores = planted_scores(300, n_repeats, n_folds, of_rows, of_training, seed=0)
    found = fold_noise(scores)
    assert found.own == pytest.approx(of_rows**2 + of_training**2, rel=0.2)
    true = of_rows**2 / n_folds + of_training**2 / n_folds / n_repeats
    assert found.mean == pytest.approx(true, rel=0.35)
    spread = scores.var(axis=2, ddof=1).mean()
    assert found.fold == pytest.approx(spread)


def test_bad_trials_that_vary_more_bring_no_luck_to_good_ones() -> None:
    """Four equal trials, and 26 far behind with ten times the noise: the mean of 30 studies."""
    found, true = [], []
    for seed in range(30):
        draw = np.random.default_rng(seed)
        means = np.array([0.95] * 4 + [*draw.uniform(0.4, 0.8, 26)])
        noises = np.array([0.006] * 4 + [0.06] * 26)
        scores = means[:, None] + draw.normal(0.0, 1.0, (30, 5)) * noises[:, None]
        order = scores.mean(axis=1).argsort()[::-1]
        noise = fold_noise(scores[order[:5]][:, None])
        found.append(winners_luck(scores.mean(axis=1), noise.mean, draw))
        true.append(scores.mean(axis=1).max() - 0.95)
    assert 0.5 * np.mean(true) < np.mean(found) < 2 * np.mean(true)


def test_one_trial_shows_no_noise_of_its_own() -> None:
    found = fold_noise(np.array([[[0.5, 0.6, 0.7]]]))
    assert found.own == found.mean == 0
    assert found.fold == pytest.approx(0.01)
