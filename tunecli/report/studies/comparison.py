"""The comparison of studies whose scores have the same meaning.

They have if the data, the folds and the objective are the same. Everything else may differ (model,
ranges, sampler, budget): that is what is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.errors import NotComparableError
from tunecli.report.analysis import ranking
from tunecli.report.analysis.standing import Compared, Verdict
from tunecli.report.analysis.standings import standings_against, yardstick_of
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.space.losing_options import Branch, Isolation, isolations
from tunecli.report.phrases import foreign_text, wording
from tunecli.study_file.text.scalars import Scalar


@dataclass(frozen=True)
class ComparedStudy:
    """One of the studies that are compared."""

    evidence: Evidence

    @property
    def study(self) -> StudyRecord:
        """The study's record."""
        return self.evidence.study

    @property
    def name(self) -> str:
        """Name of the study, safe for a terminal."""
        return foreign_text.plain(self.study.name)

    @property
    def best(self) -> TrialRecord | None:
        """The study's best complete trial."""
        return next(iter(self.evidence.ranked), None)

    @property
    def seconds(self) -> float:
        """Training time of all trials together."""
        return sum(trial.seconds or 0.0 for trial in self.study.trials)

    @cached_property
    def isolations(self) -> dict[str, Isolation]:
        """What each option reached, by the name of the choice."""
        return {one.parameter: one for one in isolations(self.evidence)}

    def best_so_far(self) -> list[float | None]:
        """Return the best value after each trial, by number; None before one is complete."""
        steps = dict(ranking.best_so_far(self.study))
        best: float | None = None
        return [best := steps.get(trial.number, best) for trial in self.study.trials]


@dataclass(frozen=True)
class SharedOption:
    """One option of a choice that several studies have.

    Attributes:
        name: the option as shown to people.
        branches: what the option reached, by the name of the study.
    """

    choice: Scalar
    name: str
    branches: Mapping[str, Branch]


@dataclass(frozen=True)
class Comparison:
    """Studies of the same data, folds and objective, in the order in which they are named."""

    contenders: tuple[ComparedStudy, ...]

    @property
    def metric(self) -> str:
        """The objective's name."""
        return self.contenders[0].study.metric

    @property
    def title(self) -> str:
        """The objective for people."""
        return self.contenders[0].study.title

    @property
    def direction(self) -> str:
        """Direction of the objective."""
        return self.contenders[0].study.direction

    @cached_property
    def ranked(self) -> list[ComparedStudy]:
        """The studies with a complete trial, best first."""
        sign = -1.0 if self.direction == "maximize" else 1.0
        best = [(one.best.value, one) for one in self.contenders if one.best is not None]
        known = [(sign * value, one) for value, one in best if value is not None]
        return [one for _, one in sorted(known, key=lambda entry: entry[0])]

    @property
    def ordered(self) -> list[ComparedStudy]:
        """All studies, best first, then those without a complete trial."""
        return self.ranked + [one for one in self.contenders if one.best is None]

    @cached_property
    def region(self) -> float | None:
        """Difference in score that does not matter, by the best study; None if unknown."""
        return self._compared.region

    def verdict(self, contender: ComparedStudy) -> Verdict:
        """Return how a study's best trial compares with the best of all, which has no verdict."""
        pairs = zip(self.ranked[1:], self._compared.standings, strict=False)
        return next((standing.verdict for one, standing in pairs if one is contender), "")

    @cached_property
    def _compared(self) -> Compared:
        """The best trial of each other study, then all other trials, which show the noise."""
        trials = [one.evidence.ranked for one in self.ranked]
        if not trials:
            return Compared(())
        (best, *rest), *others = trials
        study = self.ranked[0].study
        compared = [one[0] for one in others] + [t for one in others for t in one[1:]] + rest
        return standings_against(best, compared, study, yardstick_of(study, best))

    def shared_choices(self) -> dict[str, list[SharedOption]]:
        """Return the choices that at least two studies have, with their options, in order."""
        names = dict.fromkeys(name for one in self.contenders for name in one.isolations)
        shared = {
            name: [one for one in self.contenders if name in one.isolations] for name in names
        }
        return {name: _options(name, having) for name, having in shared.items() if len(having) > 1}


def compared(studies: Sequence[StudyRecord]) -> Comparison:
    """Return the comparison of these studies.

    Raises:
        NotComparableError: their scores have different meanings; it names what differs.
        DatabaseError: a database is damaged or locked.
    """
    first, *others = studies
    for study in studies:
        if study.further_objectives:
            raise NotComparableError(
                f"Study `{study.name}` has several objectives, so it has a Pareto front and not a "
                "best trial to compare. Read the reports one at a time."
            )
    for other in others:
        _refuse_unlike(first, other)
    return Comparison(tuple(ComparedStudy(Evidence.of(study)) for study in studies))


def _options(name: str, having: Sequence[ComparedStudy]) -> list[SharedOption]:
    branches = [(one.name, branch) for one in having for branch in one.isolations[name].branches]
    choices = {repr(branch.choice): branch.choice for _, branch in branches}
    gates = having[0].study.gates
    return [
        SharedOption(
            choice,
            wording.option(name, choice, gates),
            {study: branch for study, branch in branches if repr(branch.choice) == key},
        )
        for key, choice in choices.items()
    ]


def _refuse_unlike(one: StudyRecord, other: StudyRecord) -> None:
    if one.url == other.url and one.study_id == other.study_id:
        raise NotComparableError(f"Study `{one.name}` is named twice. Name different studies.")
    ours, theirs = _meaning(one), _meaning(other)
    differs = [what for what in ours if what in theirs and ours[what] != theirs[what]]
    if differs:
        what = differs[0]
        raise NotComparableError(
            f"Scores of `{one.name}` and `{other.name}` cannot be compared: the {what} is "
            f"{_text(ours[what])} in `{one.name}` and {_text(theirs[what])} in `{other.name}`."
        )


def _meaning(study: StudyRecord) -> dict[str, Any]:
    """Return what the meaning of a score depends on, by its name; without unknown settings."""
    summary = study.summary
    meaning: dict[str, Any] = {
        "objective": f"{study.direction} {study.title}",
        "data fingerprint": summary.fingerprint if summary is not None else None,
        "validation": summary.validation if summary is not None else None,
    }
    config = next((trial.config for trial in study.trials if trial.config), None)
    if config is not None:
        data = config.get("data") or {}
        meaning["test set (data.test)"] = data.get("test")
        meaning["seed of the folds (data.split_seed)"] = data.get("split_seed")
    return meaning


def _text(value: Any) -> str:
    return (
        "unknown" if value is None else foreign_text.shortened(foreign_text.plain(str(value)), 40)
    )
