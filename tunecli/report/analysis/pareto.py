"""The Pareto front of a study, from the best in the first objective on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.phrases import foreign_text
from tunecli.search.study.front import FrontTracker


@dataclass(frozen=True)
class Front:
    """The Pareto front of a study.

    Attributes:
        trials: the best in the first objective first; of trials with equal values only the first.
        n_complete: trials from which they are chosen.
    """

    trials: tuple[TrialRecord, ...]
    n_complete: int


def front(study: StudyRecord) -> Front:
    """Return the front of the complete trials; a trial that breaks a limit is not complete."""
    directions = [objective.direction for objective in study.objectives]
    known = [trial for trial in study.trials if _counts(trial, len(directions))]
    return Front(tuple(FrontTracker(directions, known)), len(known))


def goal(study: StudyRecord) -> str:
    """Return all objectives as text: `maximize accuracy, minimize size`."""
    goals = (f"{one.direction} {study.titled(one.metric)}" for one in study.objectives)
    return foreign_text.plain(", ".join(goals))


def _counts(trial: TrialRecord, n_objectives: int) -> bool:
    is_whole = trial.state == "complete" and len(trial.values) == n_objectives
    return is_whole and all(map(math.isfinite, trial.values))
