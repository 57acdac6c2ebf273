"""Which trials are best, and how many there are of each outcome."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import wraps
from operator import itemgetter
from typing import TypeVar

from pydantic import ValidationError

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.study_file.settings.settings import ValidationSettings

WORDS = ("complete", "pruned", "diverged", "infeasible", "failed", "running", "waiting")


Found = TypeVar("Found")


def once_per_study(function: Callable[[StudyRecord], Found]) -> Callable[[StudyRecord], Found]:
    """Let a function of a study alone keep what it found with the record, which never changes."""
    key = f"_once:{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def kept(study: StudyRecord) -> Found:
        known = vars(study)
        if key not in known:
            known[key] = function(study)
        found: Found = known[key]
        return found

    return kept


def ranked(study: StudyRecord) -> list[TrialRecord]:
    """Return the complete trials with a finite value, best first; of equals the earlier first."""
    return [*_ranked(study)]


@once_per_study
def _ranked(study: StudyRecord) -> tuple[TrialRecord, ...]:
    sign = -1.0 if study.direction == "maximize" else 1.0
    usable = [
        (sign * trial.value, trial.number, trial)
        for trial in study.trials
        if trial.state == "complete" and trial.value is not None and math.isfinite(trial.value)
    ]
    return tuple(trial for _, _, trial in sorted(usable, key=itemgetter(0, 1)))


def best_trial(study: StudyRecord) -> TrialRecord | None:
    """Return the best complete trial; None before there is one."""
    return next(iter(ranked(study)), None)


def best_so_far(study: StudyRecord) -> list[tuple[int, float]]:
    """Return (number, value) of each complete trial that was better than all before it."""
    sign = 1.0 if study.direction == "maximize" else -1.0
    steps: list[tuple[int, float]] = []
    for trial in sorted(ranked(study), key=lambda trial: trial.number):
        value = trial.value
        if value is not None and (not steps or sign * value > sign * steps[-1][1]):
            steps.append((trial.number, value))
    return steps


def noise_of(trial: TrialRecord) -> float | None:
    """Return the standard error of a trial's mean over its folds; None with less than two."""
    if trial.spread is None:
        return None
    return trial.spread / math.sqrt(len(trial.fold_scores))


def n_valid_per_train(trial: TrialRecord) -> float | None:
    """Return the number of validation rows per training row; None if unknown."""
    settings, data = validation_of(trial), (trial.config or {}).get("data")
    if settings is None:
        return None
    in_time = isinstance(data, Mapping) and data.get("time") is not None
    return settings.n_valid_per_train(in_time=in_time)


def n_untrained(study: StudyRecord) -> int:
    """Return how many of the infeasible trials broke a limit before their training."""
    return sum(trial.is_untrained for trial in study.trials)


def validation_of(trial: TrialRecord) -> ValidationSettings | None:
    """Return how a trial was validated; None in a study of another program."""
    try:
        return ValidationSettings.model_validate((trial.config or {}).get("validation"))
    except ValidationError:
        return None


def counts(study: StudyRecord) -> dict[str, int]:
    """Return the number of trials by outcome, or by state without one; every word, also with 0."""
    by_word = Counter[str](trial.outcome or trial.state for trial in study.trials)
    return {word: by_word[word] for word in WORDS}
