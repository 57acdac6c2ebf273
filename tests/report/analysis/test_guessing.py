from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from study_makers import SUMMARY

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.guessing import guess_of, guess_scores, is_guessing_beaten
from tunecli.training.outcome.evaluation import Baseline

GUESS = Baseline("commonest class", (0.5, 0.52, 0.48))
OTHERS = (Baseline("logistic regression", (0.7, 0.7, 0.7)), Baseline("mean", (), note="no scores"))


def study(*scores: float, **changes: Any) -> StudyRecord:
    trials = [TrialRecord(0, 0, "complete", "complete", value=sum(scores) / 3, fold_scores=scores)]
    made = StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", tuple(trials))
    return replace(made, **changes)


def test_the_guess_is_that_of_the_folds_else_that_of_the_data() -> None:
    summary = replace(SUMMARY, guess={"accuracy": 0.3, "f1": 0.1})
    both = study(0.9, 0.9, 0.9, baselines=(*OTHERS, GUESS), summary=summary)
    assert guess_scores(both) == GUESS.fold_scores
    assert guess_of(both) == pytest.approx(0.5)
    assert guess_scores(replace(both, baselines=OTHERS)) == (0.3,)
    assert guess_of(replace(both, baselines=OTHERS, metric="roc_auc")) is None


@pytest.mark.parametrize(
    ("scores", "is_beaten"),
    [((0.9, 0.91, 0.88), True), ((0.5, 0.52, 0.48), False), ((0.6, 0.4, 0.55), False)],
)
def test_guessing_is_beaten_where_the_folds_show_it(
    scores: tuple[float, ...], is_beaten: bool
) -> None:
    up = study(*scores, baselines=(GUESS,))
    assert is_guessing_beaten(up) == is_beaten
    down = Baseline("mean", tuple(-score for score in GUESS.fold_scores))
    mirrored = study(*(-score for score in scores), baselines=(down,), direction="minimize")
    assert is_guessing_beaten(mirrored) == is_beaten


def test_of_one_fold_the_mean_decides_and_without_a_guess_nothing_does() -> None:
    summary = replace(SUMMARY, guess={"accuracy": 0.6})
    for value, is_beaten in ((0.61, True), (0.6, False)):
        trial = TrialRecord(0, 0, "complete", "complete", value=value, fold_scores=(value,))
        assert is_guessing_beaten(study(summary=summary, trials=(trial,))) == is_beaten
    assert is_guessing_beaten(study(0.1, 0.1, 0.1))
    assert is_guessing_beaten(study(trials=(), baselines=(GUESS,)))


@pytest.mark.parametrize("unknown", [float("nan"), float("inf"), -float("inf")])
def test_a_guess_that_is_not_finite_is_unknown(unknown: float) -> None:
    of_folds = Baseline("commonest class", (0.5, unknown, 0.48))
    summary = replace(SUMMARY, guess={"accuracy": unknown})
    for found in (
        study(0.1, 0.1, 0.1, baselines=(of_folds,)),
        study(0.1, 0.2, 0.1, summary=summary),
    ):
        assert guess_scores(found) == ()
        assert guess_of(found) is None
        assert is_guessing_beaten(found)


def test_a_guess_that_is_known_as_a_mean_is_the_same_on_every_fold() -> None:
    summary = replace(SUMMARY, guess={"accuracy": 0.5})
    for scores, is_beaten in (((0.9, 0.91, 0.88), True), ((0.9, 0.1, 0.6), False)):
        assert is_guessing_beaten(study(*scores, summary=summary)) == is_beaten
