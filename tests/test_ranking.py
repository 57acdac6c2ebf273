from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.report import ranking
from tunecli.report.records import StudyRecord, TrialRecord
from tunecli.study_file.settings import Direction


def study(direction: Direction, *trials: TrialRecord) -> StudyRecord:
    return StudyRecord("sqlite://", 1, "s", "accuracy", direction, trials)


def trial(number: int, *folds: float, value: float | None = None) -> TrialRecord:
    mean = sum(folds) / len(folds) if folds else value
    return TrialRecord(number, number, "complete", "complete", value=mean, fold_scores=folds)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan, math.inf]), max_size=8))
def test_the_best_is_the_first_of_the_best_finite_values(values: list[float]) -> None:
    trials = [trial(number, value=value) for number, value in enumerate(values)]
    finite = [value for value in values if math.isfinite(value)]
    for direction, extreme in (("maximize", max), ("minimize", min)):
        best = ranking.best_trial(study(direction, *trials))
        if not finite:
            assert best is None
        else:
            assert best is not None
            assert best.number == values.index(extreme(finite))


def test_only_complete_trials_are_ranked() -> None:
    pruned = TrialRecord(1, 1, "pruned", "pruned", value=0.99)
    found = study("maximize", trial(0, 0.5), pruned, TrialRecord(2, 2, "running"))
    assert [t.number for t in ranking.ranked(found)] == [0]
    assert ranking.counts(found) == {
        "complete": 1,
        "pruned": 1,
        "diverged": 0,
        "infeasible": 0,
        "failed": 0,
        "running": 1,
        "waiting": 0,
    }


def test_within_noise_is_within_one_standard_error_of_the_best() -> None:
    # best: mean .9, spread .02, four folds: standard error .01
    d = 0.02 * math.sqrt(3) / 2
    best = trial(0, 0.9 - d, 0.9 - d, 0.9 + d, 0.9 + d)
    assert best.spread == pytest.approx(0.02)
    others = [trial(n, value=value) for n, value in enumerate([0.8901, 0.8899, 0.7, 0.895], 1)]
    assert ranking.n_within_noise(study("maximize", best, *others)) == 2
    assert ranking.noise_of(best) == pytest.approx(0.01)


def test_with_one_fold_the_noise_is_unknown() -> None:
    assert ranking.n_within_noise(study("maximize", trial(0, 0.9), trial(1, 0.9))) is None
    assert ranking.n_within_noise(study("maximize")) is None
    assert ranking.standard_error(0.0, 1) is None
    assert ranking.standard_error(None, 5) is None


def test_equal_scores_are_within_no_noise_at_all() -> None:
    tied = study("minimize", trial(0, 0.5, 0.5), trial(1, 0.5, 0.5), trial(2, 0.6, 0.6))
    assert ranking.n_within_noise(tied) == 1
