"""The score of guessing: of always predicting the commonest class, or the mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from tunecli.database.records import StudyRecord
from tunecli.report.analysis.fold_test import LEVEL, p_value
from tunecli.report.analysis.ranking import best_trial, n_valid_per_train, ranked
from tunecli.training.outcome.evaluation import GUESSES

UNBEATEN = "no trial is reliably better than guessing"
"""Why trials are not compared: differences between trials that learned nothing are noise."""


def guess_scores(study: StudyRecord) -> tuple[float, ...]:
    """Return the scores of guessing: per fold, or one mean over folds.

    Empty if they are unknown or not finite: then nothing is known to be worse.
    """
    scores = _stored_scores(study)
    return scores if all(map(math.isfinite, scores)) else ()


def _stored_scores(study: StudyRecord) -> tuple[float, ...]:
    for baseline in study.baselines:
        if baseline.name in GUESSES and baseline.fold_scores:
            return baseline.fold_scores
    if study.summary is None:
        return ()
    if study.metric in study.summary.guess_folds:
        return study.summary.guess_folds[study.metric]
    guess = study.summary.guess.get(study.metric)
    return () if guess is None else (guess,)


def guess_of(study: StudyRecord) -> float | None:
    """Return the mean score of guessing; None if unknown."""
    scores = guess_scores(study)
    return statistics.fmean(scores) if scores else None


def is_guessing_beaten(study: StudyRecord) -> bool:
    """Return whether the best trial is reliably better than guessing; True if that is unknown."""
    best = best_trial(study)
    return best is None or beats_guessing(study, best.fold_scores, best.value)


def beats_guessing(study: StudyRecord, fold_scores: Sequence[float], value: float | None) -> bool:
    """Return whether a model is reliably better than guessing; True if that is unknown.

    It is not if it is no better on average, or if the folds show no difference
    (`p_value`).

    Args:
        fold_scores: the model's scores on the folds of the study.
        value: their mean.
    """
    best, scores = best_trial(study), guess_scores(study)
    if best is None or value is None or not scores:
        return True
    if len(scores) == 1:  # one mean, which is the same on every fold
        scores *= max(len(fold_scores), 1)
    ahead = value - statistics.fmean(scores)
    if study.direction == "minimize":
        ahead = -ahead
    alike = (trial.fold_scores for trial in ranked(study))
    p = p_value(fold_scores, scores, alike, n_valid_per_train(best))
    return ahead > 0 and not p >= LEVEL
