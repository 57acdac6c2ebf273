"""What findings are made from: a study's records, its curves, and what stood by for comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tunecli.report.curves import Curve
from tunecli.report.ranking import ranked
from tunecli.report.records import StudyRecord, TrialRecord
from tunecli.study_file.ranges import Range


@dataclass(frozen=True)
class Baseline:
    """What something that nobody tuned reaches on the same folds.

    Attributes:
        name: `commonest class`, `mean`, `logistic regression`, `ridge regression`,
            `gradient-boosted trees`.
        fold_scores: of the objective's metric, one a fold, in the order of the folds.
        seconds: to fit and score it on all folds.
    """

    name: str
    fold_scores: tuple[float, ...]
    seconds: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """A study with everything that findings rest on; nothing is read from here on.

    Attributes:
        curves: by `trial_id`.
        baselines: untuned models on the same folds.
    """

    study: StudyRecord
    curves: Mapping[int, Curve] = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()

    @classmethod
    def of(cls, study: StudyRecord) -> Evidence:
        """Read what belongs to a study.

        Raises:
            DatabaseError: the database is damaged or locked.
        """
        return cls(study, study.curves())

    @cached_property
    def ranked(self) -> list[TrialRecord]:
        """The complete trials with a finite value, best first."""
        return ranked(self.study)

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """What each parameter is searched in now: the newest trial's range that has it."""
        return {name: kind for trial in self.study.trials for name, kind in trial.ranges.items()}

    @property
    def sign(self) -> int:
        """1 where larger values are better, -1 where smaller ones are."""
        return 1 if self.study.direction == "maximize" else -1
