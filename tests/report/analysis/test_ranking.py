from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis import ranking
from tunecli.study_file.settings.settings import Direction


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


def test_a_trial_knows_how_much_its_training_parts_overlap() -> None:
    def ratio(**config: object) -> float | None:
        return ranking.n_valid_per_train(replace(trial(0, 0.9, 0.8, 0.7), config=config))

    in_time = {"data": {"source": "t.csv", "time": "date"}}
    assert ratio(validation={"folds": 3}) == pytest.approx(1 / 2)
    assert ratio(validation={"folds": 3}, **in_time) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert ratio(validation={"folds": 3, "colour": "red"}) is None
    assert ratio() is None


def test_noise_is_the_standard_error_of_the_mean() -> None:
    d = 0.02 * math.sqrt(3) / 2
    assert ranking.noise_of(trial(0, 0.9 - d, 0.9 - d, 0.9 + d, 0.9 + d)) == pytest.approx(0.01)
    assert ranking.noise_of(trial(0, 0.9)) is None
