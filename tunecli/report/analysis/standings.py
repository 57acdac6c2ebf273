"""The complete trials of a study, compared with its best one (see `standing`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.errors import StudyFileError
from tunecli.report.analysis.guessing import guess_of
from tunecli.report.analysis.ranking import n_valid_per_train, once_per_study, ranked
from tunecli.report.analysis.standing import (
    UNKNOWN,
    Compared,
    Standing,
    Verdict,
    Yardstick,
    compared_with,
    verdict_counts,
)
from tunecli.study_file.text.document import Document


@dataclass(frozen=True)
class Standings:
    """How the complete trials of a study compare with its best one.

    Attributes:
        trials: complete trials, best first.
        is_given: whether `region` is the tolerance of the study file.
        compared: standings of all trials but the best, in this order.
    """

    trials: Sequence[TrialRecord] = ()
    is_given: bool = False
    compared: Compared = field(default_factory=Compared)

    @property
    def region(self) -> float | None:
        """Difference in score that does not matter; None if unknown."""
        return self.compared.region

    @cached_property
    def of(self) -> Mapping[int, Standing]:
        """The standing of each trial but the best, by its number."""
        numbers = (trial.number for trial in self.trials[1:])
        return dict(zip(numbers, self.compared.standings, strict=True))

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many trials are practically equal to the best, not distinguished, and worse."""
        return verdict_counts(self.of.values())

    def having(self, *verdicts: Verdict) -> list[TrialRecord]:
        """Return the trials with one of these verdicts, best first; without the best itself."""
        return [trial for trial in self.trials[1:] if self.verdict(trial) in verdicts]

    def verdict(self, trial: TrialRecord) -> Verdict:
        """Return the verdict on a trial; empty for the best, and where nothing can be said."""
        return self.of.get(trial.number, UNKNOWN).verdict


@once_per_study
def standings_of(study: StudyRecord) -> Standings:
    """Return how the complete trials of a study compare with its best one."""
    trials = ranked(study)
    if not trials:
        return Standings()
    best, *others = trials
    yardstick = yardstick_of(study, best)
    compared = standings_against(best, others, study, yardstick)
    return Standings(trials, yardstick.tolerance is not None, compared)


def standings_against(
    best: TrialRecord, others: Iterable[TrialRecord], study: StudyRecord, yardstick: Yardstick
) -> Compared:
    """Return how trials compare with one that may belong to another study.

    Args:
        study: any of the studies; its direction counts.
        yardstick: that of the study of `best`.
    """
    sign = 1.0 if study.direction == "maximize" else -1.0
    scores = [[sign * score for score in trial.fold_scores] for trial in (best, *others)]
    return compared_with(scores[0], scores[1:], yardstick)


def yardstick_of(study: StudyRecord, best: TrialRecord) -> Yardstick:
    """Return what the trials of a study are compared with."""
    guess = guess_of(study)
    sign = 1.0 if study.direction == "maximize" else -1.0
    signed = None if guess is None else sign * guess
    return Yardstick(tolerance_of(study), signed, n_valid_per_train(best))


def tolerance_of(study: StudyRecord) -> float | None:
    """Return the difference in score that does not matter, by the study file; None without it."""
    if "tolerance" not in study.resolved:
        return None
    try:
        data: Any = Document.parse(study.resolved, study.name).data
    except StudyFileError:  # of a version with other study files
        return None
    objective = data.get("objective") if isinstance(data, dict) else None
    tolerance = objective.get("tolerance") if isinstance(objective, dict) else None
    return float(tolerance) if isinstance(tolerance, int | float) else None
