"""Which trials are best, and which of them the noise cannot tell apart.

Noise: the standard error of the best trial's mean over its folds, spread / sqrt(n_folds).
A trial is within it if its mean is not further from the best's than that. The folds of two trials
are the same, so their scores are correlated and this is a rule of thumb rather than a test; with
one fold nothing can be said.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from tunecli.report.records import StudyRecord, TrialRecord

WORDS = ("complete", "pruned", "diverged", "infeasible", "failed", "running", "waiting")


def ranked(study: StudyRecord) -> list[TrialRecord]:
    """The complete trials with a finite value, best first; of equals the earlier first."""
    sign = -1.0 if study.direction == "maximize" else 1.0
    usable = [
        (sign * trial.value, trial.number, trial)
        for trial in study.trials
        if trial.state == "complete" and trial.value is not None and math.isfinite(trial.value)
    ]
    return [trial for _, _, trial in sorted(usable, key=lambda entry: entry[:2])]


def best_trial(study: StudyRecord) -> TrialRecord | None:
    """The best complete trial; None before there is one."""
    return next(iter(ranked(study)), None)


def standard_error(spread: float | None, n_folds: int) -> float | None:
    """Of a mean over folds; None where it cannot be known (one fold, or no fold scores)."""
    return spread / math.sqrt(n_folds) if spread is not None and n_folds > 1 else None


def n_within(values: Iterable[float], best: float, noise: float) -> int:
    """How many values are no further than `noise` from the best one, itself among them."""
    return sum(abs(value - best) <= noise for value in values)


def noise_of(trial: TrialRecord) -> float | None:
    """The standard error of a trial's mean over its folds, None if unknown."""
    return standard_error(trial.spread, len(trial.fold_scores))


def n_within_noise(study: StudyRecord) -> int | None:
    """How many other complete trials are within the best's noise; None if that is unknown."""
    order = ranked(study)
    noise = noise_of(order[0]) if order else None
    if noise is None:
        return None
    values = [trial.value for trial in order if trial.value is not None]
    return n_within(values, values[0], noise) - 1


def counts(study: StudyRecord) -> dict[str, int]:
    """Number of trials by outcome, and of those that have none yet; all words, some of them 0."""
    found = Counter[str](trial.outcome or trial.state for trial in study.trials)
    return {word: found[word] for word in WORDS}
