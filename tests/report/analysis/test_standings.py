"""The standings of a study's trials: which of them are asked, and by which yardstick."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.standing import UNKNOWN
from tunecli.report.analysis.standings import standings_of, tolerance_of
from tunecli.training.outcome.evaluation import Baseline

BEST = (0.90, 0.92, 0.88, 0.91, 0.89)


def trial(number: int, *folds: float, value: float | None = None) -> TrialRecord:
    mean = sum(folds) / len(folds) if folds else value
    return TrialRecord(number, number, "complete", "complete", value=mean, fold_scores=folds)


def study(*trials: TrialRecord, **changes: Any) -> StudyRecord:
    made = StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", trials)
    return replace(made, **changes)


def test_all_complete_trials_are_compared_with_the_best() -> None:
    trials = (
        trial(0, *(score - 0.1 for score in BEST)),
        trial(1, *BEST),
        trial(2, 0.9, 0.9),  # other folds
        trial(3, *BEST),
        trial(4, value=0.5),
        replace(trial(5, *BEST), state="pruned", outcome="pruned"),
    )
    found = standings_of(study(*trials))
    assert [one.number for one in found.trials] == [1, 2, 3, 0, 4]
    assert {number: one.verdict for number, one in found.of.items()} == {
        0: "worse",
        2: "",
        3: "practically equal",
        4: "",
    }
    assert found.having("practically equal") == [trials[3]]
    assert found.verdict(trials[1]) == ""
    assert found.counts == (1, 0, 1)
    turned = [
        replace(t, value=-t.value, fold_scores=tuple(-s for s in t.fold_scores)) for t in trials
    ]
    mirrored = standings_of(study(*turned, direction="minimize"))
    assert mirrored.of == found.of


def test_the_tolerance_is_that_of_the_study_file() -> None:
    near = trial(1, *(score - 0.004 for score in BEST))
    for tolerance, verdict in ((0.003, "worse"), (0.005, "practically equal")):
        resolved = f"objective: {{maximize: accuracy, tolerance: {tolerance}}}\n"
        found = standings_of(study(trial(0, *BEST), near, resolved=resolved))
        assert (found.region, found.is_given) == (tolerance, True)
        assert found.verdict(near) == verdict


@pytest.mark.parametrize(
    "resolved",
    ["", "objective: {maximize: accuracy}", "[tolerance", "- tolerance", "objective: [tolerance]"],
)
def test_without_a_tolerance_the_folds_give_the_region(resolved: str) -> None:
    found = standings_of(study(trial(0, *BEST), trial(1, *BEST), resolved=resolved))
    assert tolerance_of(study(resolved=resolved)) is None
    assert found.region == pytest.approx(0.25 * 0.015811, rel=1e-4)
    assert not found.is_given


def test_a_trial_that_guesses_is_not_equal_to_the_best() -> None:
    guess = Baseline("commonest class", (0.9,) * 5)
    constant = trial(1, *(0.9,) * 5)
    found = standings_of(study(trial(0, *BEST), constant, trial(2, *BEST), baselines=(guess,)))
    assert "practically equal" not in {one.verdict for one in found.of.values()}


def test_growing_training_parts_tell_less_apart() -> None:
    """In time the first training part is small: its validation part overlaps as much again."""
    folds, others = (0.9, 0.9, 0.9), (0.8623, 0.85, 0.8377)
    plain = {"validation": {"folds": 3}}
    verdicts = []
    for config in (plain, plain | {"data": {"time": "date"}}):
        trials = (replace(trial(n, *s), config=config) for n, s in enumerate((folds, others)))
        verdicts.append(standings_of(study(*trials)).of[1].worse)
    assert verdicts[0] > verdicts[1]


def test_without_trials_or_folds_nothing_is_known() -> None:
    assert standings_of(study()).counts == (0, 0, 0)
    found = standings_of(study(trial(0, 0.9), trial(1, 0.9)))
    assert set(found.of.values()) == {UNKNOWN}
    assert found.region is None
