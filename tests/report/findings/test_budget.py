from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from statistics import fmean

import numpy as np
import pytest
from planted_studies import Plant, planted

from tunecli.database.records import TrialRecord
from tunecli.report.findings.budget import budget, expected_best, expected_gain


@pytest.mark.parametrize("n_drawn", [1, 3, 7])
def test_the_expected_best_is_the_mean_over_all_draws(n_drawn: int) -> None:
    values = sorted(np.random.default_rng(0).normal(size=7).tolist())
    by_hand = fmean(max(drawn) for drawn in combinations(values, n_drawn))
    assert expected_best(values, n_drawn) == pytest.approx(by_hand)


@pytest.mark.parametrize("n_parameters", [1, 2, 4])
def test_the_expected_gain_is_about_what_more_trials_bring(n_parameters: int) -> None:
    """Random points on a bump: the mean of the estimates over 200 studies against the truth."""
    draw = np.random.default_rng(n_parameters)
    places = draw.uniform(-0.5, 0.5, (200, 100, n_parameters))
    scores = 1 - (places**2).sum(axis=2)
    told = fmean(expected_gain(study[:50].tolist(), 50) for study in scores)
    true = float((scores.max(axis=1) - scores[:, :50].max(axis=1)).mean())
    assert 0.5 * true < told < 2 * true


def test_pruned_trials_bring_as_little_again() -> None:
    """Half of the trials end early: a hundred more bring fifty scores."""
    study = planted(Plant(), 0)
    pruned = tuple(TrialRecord(60 + n, 60 + n, "pruned", "pruned", seconds=1.0) for n in range(60))
    both = replace(study, study=replace(study.study, trials=study.study.trials + pruned))
    (finding,) = budget(both)
    goodness = [study.goodness(trial) for trial in study.ranked]
    assert finding.figures["gains"]["100"] == pytest.approx(expected_gain(goodness, 50))


def test_a_study_that_cannot_improve_gains_nothing() -> None:
    assert expected_gain([0.5] * 30, 100) == 0.0


def test_only_independent_trials_allow_a_forecast() -> None:
    (finding,) = budget(planted(Plant(), 0))
    assert "100 more trials are expected to improve accuracy by" in finding.sentence
    gains = list(finding.figures["gains"].values())
    assert gains == sorted(gains)
    learning = planted(Plant(sampler="TPESampler"), 0, n_trials=25)
    assert all("expected" not in finding.sentence for finding in budget(learning))


@pytest.mark.parametrize("spares_untrained", [True, False])
def test_trials_that_cost_no_budget_change_no_forecast(spares_untrained: bool) -> None:
    """They are no share of a hundred more trials, unless an earlier version counted them."""
    study = planted(Plant(), 0)
    untrained = tuple(TrialRecord(60 + n, 60 + n, "pruned", "infeasible") for n in range(60))
    trials = study.study.trials + untrained
    record = replace(study.study, trials=trials, spares_untrained=spares_untrained)
    (finding,) = budget(replace(study, study=record))
    goodness = [study.goodness(trial) for trial in study.ranked]
    n_scores = 100 if spares_untrained else 50
    assert finding.figures["gains"]["100"] == pytest.approx(expected_gain(goodness, n_scores))
    assert (record.n_charged == 60) == spares_untrained
