"""A best evaluation stands out if it is a dip of a noisy curve, not the bottom of a smooth one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_makers import complete, made, mlp

from tunecli.database.curves import Curve, FoldCurve
from tunecli.database.records import read_study
from tunecli.report.analysis.best_evaluation import StandOut, best_of_curve, equal_end, stand_out
from tunecli.report.analysis.standings import standings_of

CURVES = st.lists(st.floats(-10, 10), min_size=6, max_size=40)


def of_minimum(scores: list[float]) -> StandOut:
    found = stand_out(scores, int(np.argmin(scores)), "minimize")
    assert found is not None
    return found


def test_a_dip_in_a_noisy_curve_stands_out() -> None:
    rng = np.random.default_rng(0)
    curve = 0.4981 + rng.normal(0, 0.004, 30)
    curve[19] = 0.4811
    found = of_minimum(curve.tolist())
    around = fmean([curve[17], curve[18], curve[20], curve[21]])
    assert found.step == 19
    assert found.expected == pytest.approx(around)
    assert found.gap == pytest.approx(around - 0.4811)
    assert found.noise == pytest.approx(0.004 * np.sqrt(1.25), rel=0.6)  # of x minus four's mean
    assert found.is_noise
    assert found.in_words().startswith("evaluation 20 is 0.0")
    assert "better than its neighbours: more than their noise of 0.00" in found.in_words()


@settings(deadline=None)
@given(st.integers(6, 40), st.floats(0.01, 5), st.floats(0, 40), st.floats(-5, 5))
def test_the_bottom_of_a_parabola_does_not(n: int, width: float, at: float, level: float) -> None:
    curve = [level + width * (step - min(at, n - 1)) ** 2 for step in range(n)]
    found = of_minimum(curve)
    assert found.gap <= found.noise * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_the_end_of_a_curve_that_still_falls_does_not(rate: float) -> None:
    found = of_minimum(np.exp(-rate * np.arange(25)).tolist())
    assert not found.is_noise
    assert found.in_words() == "evaluation 25 does not stand out from its neighbours"


@given(CURVES, st.floats(0.1, 10), st.floats(-10, 10))
def test_it_keeps_its_meaning_in_other_units_and_directions(
    curve: list[float], scale: float, shift: float
) -> None:
    found = of_minimum(curve)
    other = stand_out([shift - scale * score for score in curve], found.step, "maximize")
    assert other is not None
    assert other.gap == pytest.approx(scale * found.gap, abs=1e-6)
    assert other.noise == pytest.approx(scale * found.noise, abs=1e-6)
    assert other.expected == pytest.approx(shift - scale * found.expected, abs=1e-6)


@given(CURVES)
def test_the_line_is_that_of_least_squares_through_the_four_nearest(curve: list[float]) -> None:
    found = of_minimum(curve)
    start = min(max(found.step - 2, 0), len(curve) - 5)
    near = [step for step in range(start, start + 5) if step != found.step]
    fitted = np.polynomial.Polynomial.fit(near, [curve[step] for step in near], 1)
    assert found.expected == pytest.approx(fitted(found.step), abs=1e-8)


@pytest.mark.parametrize(
    ("curve", "step"), [([0.1] * 4, 0), ([0.5, 0.4, float("nan"), 0.3, 0.2], 4), ([0.1] * 6, 6)]
)
def test_it_is_unknown_for_short_and_broken_curves(curve: list[float], step: int) -> None:
    assert stand_out(curve, step, "minimize") is None


def test_only_a_complete_trial_has_one(tmp_path) -> None:  # type: ignore[no-untyped-def]
    study = read_study(made(tmp_path, [(mlp(0.1), complete(0.9, 0.8))]))
    trial = replace(study.trial(0), best_step=2)
    curve = Curve(score=(0.5, 0.6, 0.9, 0.6, 0.5, 0.5))
    found = best_of_curve(study, trial, curve)
    region = standings_of(study).region
    assert found == stand_out(curve.score, 2, "maximize", region or 0.0)
    assert best_of_curve(study, replace(trial, state="pruned"), curve) is None
    assert best_of_curve(study, replace(trial, best_step=None), curve) is None


@pytest.mark.parametrize(
    "curve",
    [
        (0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
        (0.9722, 0.984, 0.9917, 0.99169, 0.9903, 0.9917, 0.9903, 0.99169),
    ],
)
def test_the_first_evaluation_of_a_plateau_is_no_dip(curve: tuple[float, ...]) -> None:
    found = stand_out(curve, int(np.argmax(curve)), "maximize")
    assert found is not None
    assert found.gap > 0
    assert not found.is_noise
    assert "does not stand out" in found.in_words()


STEPS = np.arange(30)
CURVES_WITHOUT_NOISE = {
    "flat": 0 * STEPS,
    "falling": -0.02 * STEPS,
    "bowl": 0.004 * (STEPS - 17.3) ** 2,
    "settling": 6 * np.exp(-STEPS / 4),
    "turn": np.where(STEPS < 3, 8.0 * (3 - STEPS), 0.05 * (STEPS - 3)),
}
"""In units of the standard deviation between folds; smaller is better."""

EQUAL = 0.25  # of the standard deviation between folds, as practically equal trials differ


def share_of_dips(trend: np.ndarray, noise: float, seed: int = 0) -> float:
    """Of 200 curves, those whose best evaluation is called a dip that matters."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(200):
        curve = trend + rng.normal(0, noise, len(trend))
        one = stand_out(curve.tolist(), int(curve.argmin()), "minimize", EQUAL)
        assert one is not None
        found.append(one.is_dip)
    return fmean(found)


@pytest.mark.parametrize("name", CURVES_WITHOUT_NOISE)
def test_noise_that_no_comparison_of_trials_sees_is_no_dip(name: str) -> None:
    for noise in (0.01, 0.03, 0.05):
        share = share_of_dips(CURVES_WITHOUT_NOISE[name], noise)
        assert share <= (0.2 if name == "turn" else 0.01)


@pytest.mark.parametrize("name", ["flat", "falling", "bowl", "settling"])
def test_the_best_of_much_noise_is_a_dip(name: str) -> None:
    assert share_of_dips(CURVES_WITHOUT_NOISE[name], 0.4) > 0.45


@given(CURVES, st.floats(0, 20))
def test_a_dip_is_more_than_the_noise_and_than_what_is_negligible(
    curve: list[float], negligible: float
) -> None:
    found = stand_out(curve, int(np.argmin(curve)), "minimize", negligible)
    assert found is not None
    assert found.is_dip == (found.is_noise and found.gap > negligible)
    if found.is_noise and not found.is_dip:
        assert "but practically equal to them (within " in found.in_words()


COSINE = (0.09, 0.065, 0.035, 0.01)


def curve_of(*scores: float, rates: tuple[float, ...] = COSINE, **metrics: list[float]) -> Curve:
    """Two folds .1 apart with these mean scores; other metrics of them are 1 apart."""
    folds = [
        FoldCurve(
            step=tuple(range(len(scores))),
            epoch=tuple(range(1, len(scores) + 1)),
            train_loss=(1.0,) * len(scores),
            score=tuple(score + aside / 10 for score in scores),
            lr=rates,
            metrics=tuple(
                {name: values[step] + aside for name, values in metrics.items()}
                for step in range(len(scores))
            ),
        )
        for aside in (-0.5, 0.5)
    ]
    return Curve(tuple(range(len(scores))), scores, folds=tuple(folds))


def end_of(folder: Path, curve: Curve, best_step: int = 1, **changes: Any) -> int | None:
    """The equal end in a study whose region of practical equivalence is about .018."""
    study = read_study(made(folder, [(mlp(0.1), complete(0.95, 0.85))]))
    region = standings_of(study).region
    assert region == pytest.approx(0.25 * np.std([0.95, 0.85], ddof=1))
    trial = replace(study.trial(0), **{"best_step": best_step, **changes})
    return equal_end(study, trial, curve, {"log_loss": "minimize", "f1": "maximize"})


@pytest.mark.parametrize(
    ("curve", "end"),
    [
        (curve_of(0.8, 0.90, 0.88, 0.89), 3),
        (curve_of(0.8, 0.90, 0.88, 0.90), 3),
        (curve_of(0.8, 0.90, 0.89, 0.88), None),  # behind by more than the region
        (curve_of(0.8, 0.90, 0.88, 0.89, rates=(0.1,) * 4), None),
        (curve_of(0.8, 0.90, 0.88, 0.89, rates=(0.01, 0.02, 0.03, 0.04)), None),
        (curve_of(0.8, 0.90, 0.88, 0.89, rates=(0.09, 0.01, 0.09, 0.01)), None),  # cycles
        (curve_of(0.8, 0.90, 0.88, 0.89, rates=(0.001, 0.09, 0.05, 0.01)), 3),  # after a warm-up
        (curve_of(0.8, 0.90, 0.88, 0.89, log_loss=[9, 0.4, 0.4, 0.5]), 3),
        (curve_of(0.8, 0.90, 0.88, 0.89, log_loss=[9, 0.4, 0.4, 0.9]), None),  # overfitted
        (curve_of(0.8, 0.90, 0.88, 0.89, log_loss=[9, 0.9, 0.4, 0.4]), 3),
        (curve_of(0.8, 0.90, 0.88, 0.89, log_loss=[9, math.inf, 0.4, math.inf]), 3),
        (curve_of(0.8, 0.90, 0.88, 0.89, f1=[0.1, 0.9, 0.4, 0.4]), None),
        (curve_of(0.8, 0.90, 0.88, 0.89, own=[0.1, 0.9, 0.4, -9]), 3),  # no known direction
        (replace(curve_of(0.8, 0.90, 0.88, 0.89), folds=()), None),  # of another program
    ],
)
def test_a_flat_curve_counts_to_the_end_of_a_falling_rate(
    curve: Curve, end: int | None, tmp_path: Path
) -> None:
    assert end_of(tmp_path, curve) == end


@pytest.mark.parametrize("changes", [{"state": "pruned"}, {"best_step": None}, {"best_step": 3}])
def test_nothing_is_after_the_best_evaluation_of_such_trials(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    assert end_of(tmp_path, curve_of(0.8, 0.90, 0.88, 0.89), **changes) is None


@pytest.mark.parametrize(("last", "end"), [(0.11, 3), (0.09, 3), (0.12, None)])
def test_a_smaller_loss_is_better(last: float, end: int | None, tmp_path: Path) -> None:
    study = read_study(made(tmp_path, [(mlp(0.1), complete(0.05, 0.15))]))
    trial = replace(study.trial(0), best_step=1)
    curve = curve_of(0.2, 0.10, 0.12, last)
    assert equal_end(replace(study, direction="minimize"), trial, curve, {}) == end


def test_of_one_validation_part_only_the_same_score_is_equal(tmp_path: Path) -> None:
    study = read_study(made(tmp_path, [(mlp(0.1), complete(0.9))]))
    trial = replace(study.trial(0), best_step=1)
    ends = [
        equal_end(study, trial, replace(whole, folds=whole.folds[:1]), {})
        for last in (0.9, 0.8999)
        for whole in [curve_of(0.8, 0.9, 0.88, last)]
    ]
    assert ends == [3, None]
