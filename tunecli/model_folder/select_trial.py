"""Which trial of a study becomes a model."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunecli.errors import RefitError
from tunecli.report.analysis import ranking
from tunecli.report.analysis.pareto import front
from tunecli.report.analysis.records import RecordedObjective, StudyRecord, TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.ties import simplest
from tunecli.report.phrases.wording import metric_text
from tunecli.study_file.settings.units import in_base_unit
from tunecli.study_file.text.suggestions import did_you_mean

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(r"([\w@/.-]+) ?(>=|<=|>|<) ?(.+)")


def by_name(study: StudyRecord, which: str) -> TrialRecord:
    """The trial that `best`, `simplest` or a number means.

    Raises:
        RefitError: there is none, or it has no score.
        StudyNotFoundError: the study has no trial of that number.
    """
    if which in ("best", "simplest"):
        best = ranking.best_trial(study)
        if best is None:
            raise _none_complete(study)
        if study.further_objectives:
            n_places = len(front(study).trials)
            places = f"1 to {n_places}" if n_places > 1 else "1"
            raise RefitError(
                f"study {study.name} has several objectives and so no {which} trial: name one of "
                f"its front with --pareto {places} (`tunecli report` shows it), or say what must "
                "hold with --best-within."
            )
        return (simplest(Evidence.of(study)) or best) if which == "simplest" else best
    if not which.isdigit():
        raise RefitError(f"--trial takes best, simplest or a number, but got {which!r}.")
    trial = study.trial(int(which))
    if trial.best_step is None or trial.state != "complete":
        raise RefitError(
            f"trial {which} is {trial.outcome or trial.state}: only a complete trial says how "
            "long to train. `tunecli report` lists them."
        )
    return trial


def front_trial(study: StudyRecord, place: int) -> TrialRecord:
    """The trial at a place of the Pareto front, from 1 on, as the report numbers them.

    Raises:
        RefitError: the front has no such place.
    """
    trials = front(study).trials
    if not trials:
        raise _none_complete(study)
    if not 1 <= place <= len(trials):
        raise RefitError(
            f"the Pareto front of study {study.name} has the places 1 to {len(trials)}, but got "
            f"{place}. `tunecli report {study.name}` shows it."
        )
    return trials[place - 1]


@dataclass(frozen=True)
class CostLimit:
    """Attributes: `metric`: a metric or a cost; `sign`: one of >=, <=, >, <."""

    metric: str
    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a trial's value keeps to it."""
        return _SIGNS[self.sign](value, self.bound)


def conditions(text: str) -> list[CostLimit]:
    """Read `accuracy >= 0.97 and size <= 40KB`.

    Raises:
        RefitError: it is written in another way.
    """
    found = []
    for part in " ".join(text.split()).split(" and "):
        match = _CONDITION.fullmatch(part)
        bound = in_base_unit(match[3], match[1]) if match else None
        try:
            found.append(CostLimit(match[1], match[2], float(bound)))  # type: ignore[index, arg-type]
        except (TypeError, ValueError):
            raise RefitError(
                f"--best-within is written like 'accuracy >= 0.97 and size <= 40KB', but got "
                f"{part!r}."
            ) from None
    return found


def within(
    study: StudyRecord, limits: Sequence[CostLimit], wanted: RecordedObjective | None
) -> TrialRecord:
    """The best complete trial among those that keep to all limits.

    Args:
        wanted: by what it is best; None for the study's (first) objective.

    Raises:
        RefitError: a metric was not measured, or no trial keeps to the limits.
    """
    complete = ranking.ranked(study)
    if not complete:
        raise _none_complete(study)
    for name in [*(limit.metric for limit in limits), *([wanted.metric] if wanted else [])]:
        _refuse_unmeasured(study, complete, name)
        complete = [one for one in complete if math.isfinite(_value(study, one, name))]
        if not complete:
            raise RefitError(f"{name} is not defined for any complete trial of {study.name}.")
    kept = [
        trial
        for trial in complete
        if all(limit.holds(_value(study, trial, limit.metric)) for limit in limits)
    ]
    if not kept:
        closest = [_closest(study, complete, limit) for limit in limits]
        raise RefitError(f"no complete trial keeps to that: {'; '.join(closest)}.")
    by = wanted or study.objectives[0]
    sign = -1.0 if by.direction == "maximize" else 1.0
    return min(kept, key=lambda trial: (sign * _value(study, trial, by.metric), trial.number))


def _closest(study: StudyRecord, complete: Sequence[TrialRecord], limit: CostLimit) -> str:
    """How far the best of them comes."""
    values = [_value(study, trial, limit.metric) for trial in complete]
    reached = max(values) if limit.sign.startswith(">") else min(values)
    side = "highest" if limit.sign.startswith(">") else "lowest"
    return f"the {side} {limit.metric} is {metric_text(limit.metric, reached)}"


def _value(study: StudyRecord, trial: TrialRecord, name: str) -> float:
    return _measured(study, trial)[name]


def _measured(study: StudyRecord, trial: TrialRecord) -> dict[str, float]:
    """All that is known of a complete trial by name."""
    known = {"n_weights": float(trial.n_weights)} if trial.n_weights is not None else {}
    values = zip((one.metric for one in study.objectives), trial.values, strict=False)
    return known | dict(trial.metrics) | dict(values)


def _refuse_unmeasured(study: StudyRecord, complete: Sequence[TrialRecord], name: str) -> None:
    every = [_measured(study, trial) for trial in complete]
    if not all(name in known for known in every):
        names = sorted(set.intersection(*(set(known) for known in every)))
        hint = did_you_mean(name, names) or f" Known are {', '.join(names)}."
        raise RefitError(f"{name} was not measured in study {study.name}.{hint}")


def _none_complete(study: StudyRecord) -> RefitError:
    return RefitError(f"study {study.name} has no complete trial yet.")
