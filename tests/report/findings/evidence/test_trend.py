"""The slope at an end of a range, against numpy's polynomial fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.trend import Trend, trend_at
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range


def study(
    params: Sequence[dict[str, object]], ranges: dict[str, Range], values: Sequence[float]
) -> Evidence:
    trials = tuple(
        TrialRecord(n, n, "complete", "complete", value=float(value), params=given, ranges=ranges)
        for n, (given, value) in enumerate(zip(params, values, strict=True))
    )
    return Evidence(StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", trials))


def of_one(places: Sequence[float], values: Sequence[float]) -> Evidence:
    return study([{"lr": float(x)} for x in places], {"lr": FloatRange(0.0, 1.0)}, values)


def trend(evidence: Evidence, name: str = "lr", end: float = 1.0) -> Trend:
    found = trend_at(evidence, name, end)
    assert found is not None
    return found


@given(st.floats(-3, 3), st.floats(-3, 3), st.sampled_from([0.0, 1.0]))
def test_of_a_parabola_it_is_the_derivative(line: float, square: float, end: float) -> None:
    places = np.linspace(0, 1, 30)
    outwards = 1 if end else -1
    found = trend(of_one(places, line * places + square * places**2), end=end)
    assert found.slope == pytest.approx(outwards * (line + 2 * square * end), abs=1e-8)


def test_it_is_a_weighted_polynomial_fit_near_the_end() -> None:
    draw = np.random.default_rng(0)
    places = draw.uniform(size=60)
    values = np.sin(3 * places) + draw.normal(0, 0.05, 60)
    kept = values >= np.sort(values)[60 - 51]  # the better 85 %
    weights = np.clip(1 - ((1 - places) / 0.8) ** 3, 0, None) ** 3
    fit = np.polyfit(places[kept], values[kept], 2, w=np.sqrt(weights[kept]))
    found = trend(of_one(places, values))
    assert found.slope == pytest.approx(np.polyval(np.polyder(fit), 1.0), rel=1e-6)


def test_trials_that_were_pruned_on_their_first_folds_count_as_if_on_all() -> None:
    places = np.linspace(0, 1, 40)
    whole = of_one(places, places - 0.4 * places**2)
    folds = (-0.3, -0.3, 0.2, 0.2, 0.2)  # the first ones are harder for every trial
    trials = [
        replace(trial, fold_scores=tuple(trial.value + fold for fold in folds))
        for trial in whole.study.trials
        if trial.value is not None
    ]
    for n in range(0, 40, 3):
        some = trials[n].fold_scores[:2]
        trials[n] = replace(
            trials[n], state="pruned", outcome="pruned", value=some[0], fold_scores=some
        )
    raced = Evidence(replace(whole.study, trials=tuple(trials)))
    assert trend(raced).slope == pytest.approx(trend(whole).slope, abs=1e-8)


@pytest.mark.slow
def test_its_chance_is_uniform_without_a_trend() -> None:
    draw = np.random.default_rng(1)
    chances = [
        trend(of_one(draw.uniform(size=40), draw.normal(size=40))).chance for _ in range(400)
    ]
    assert np.mean(np.array(chances) < 0.05) == pytest.approx(0.05, abs=0.035)


def test_a_score_that_has_become_flat_has_no_trend() -> None:
    places = np.linspace(0, 1, 60)
    noise = np.random.default_rng(2).normal(0, 0.01, 60)
    assert trend(of_one(places, np.minimum(places, 0.6) + noise)).chance > 0.2
    assert trend(of_one(places, places + noise)).chance < 1e-6


def test_branches_have_curves_of_their_own() -> None:
    draw = np.random.default_rng(3)
    ranges: dict[str, Range] = {
        "model": Categories(("a", "b")),
        "model.a.width": IntRange(1, 9),
        "lr": FloatRange(0.0, 1.0),
    }
    params = [{"model": "ab"[n % 2], "lr": draw.uniform()} for n in range(80)]
    rises = {"a": 0.2, "b": 3.0}
    values = [
        rises[str(one["model"])] * float(one["lr"]) - 4.0 * (one["model"] == "b") for one in params
    ]
    evidence = study(params, ranges, values)
    assert evidence.branch_of("lr") == {"model": "a"}
    assert len(evidence.in_branch("lr")) == 40
    assert trend(evidence).slope == pytest.approx(0.2, abs=1e-6)


def test_few_whole_numbers_and_few_trials() -> None:
    def whole(n_values: int, n_trials: int) -> Evidence:
        depths = [1 + n % n_values for n in range(n_trials)]
        values = [depth + 0.001 * (n % 5) for n, depth in enumerate(depths)]
        ranges: dict[str, Range] = {"depth": IntRange(1, n_values)}
        return study([{"depth": depth} for depth in depths], ranges, values)

    assert trend(whole(2, 24), "depth").slope == pytest.approx(1.0, abs=0.01)
    assert trend(whole(3, 24), "depth").slope == pytest.approx(2.0, abs=0.05)
    assert trend_at(whole(1, 24), "depth", 1.0) is None
    assert trend_at(whole(3, 4), "depth", 1.0) is None
