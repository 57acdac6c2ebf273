"""Select the trial of a study that becomes a model."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tunecli.database.attributes import RecordedObjective
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.errors import RefitError
from tunecli.report.analysis import ranking
from tunecli.report.analysis.pareto import front
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
    """Return the trial for `best`, `simplest` or a number.

    Raises:
        RefitError: there is no such trial, or it is not complete.
        StudyNotFoundError: the study has no trial with that number.
    """
    if which in ("best", "simplest"):
        best = ranking.best_trial(study)
        if best is None:
            raise _none_complete(study)
        if study.further_objectives:
            n_places = len(front(study).trials)
            places = f"1 to {n_places}" if n_places > 1 else "1"
            raise RefitError(
                f"study {study.name} has several objectives, so it has no {which} trial. Choose a "
                f"trial of the Pareto front with --pareto {places} (`tunecli report` shows the "
                "front), or state conditions with --best-within."
            )
        return (simplest(Evidence.of(study)) or best) if which == "simplest" else best
    if not which.isdigit():
        raise RefitError(f"--trial must be best, simplest or a number, got {which!r}.")
    trial = study.trial(int(which))
    if trial.best_step is None or trial.state != "complete":
        raise RefitError(
            f"trial {which} is {trial.outcome or trial.state}, but only a complete trial can "
            "become a model. `tunecli report` lists the trials."
        )
    return trial


def front_trial(study: StudyRecord, place: int) -> TrialRecord:
    """Return the trial at a place of the Pareto front, counted from 1 as in the report.

    Raises:
        RefitError: the front has no such place, or the study has no complete trial.
    """
    trials = front(study).trials
    if not trials:
        raise _none_complete(study)
    if not 1 <= place <= len(trials):
        raise RefitError(
            f"--pareto must be from 1 to {len(trials)}, got {place}. `tunecli report "
            f"{study.name}` shows the Pareto front."
        )
    return trials[place - 1]


@dataclass(frozen=True)
class CostLimit:
    """A condition of `--best-within`.

    Attributes:
        metric: name of a metric or a cost.
        sign: one of >=, <=, >, <.
        bound: in the unit of the metric: bytes, seconds or a plain number.
    """

    metric: str
    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        """Return whether a trial's value meets the condition."""
        return _SIGNS[self.sign](value, self.bound)


def conditions(text: str) -> list[CostLimit]:
    """Read conditions such as `accuracy >= 0.97 and size <= 40KB`.

    Raises:
        RefitError: the text has another form.
    """
    limits = []
    for part in " ".join(text.split()).split(" and "):
        match = _CONDITION.fullmatch(part)
        bound = in_base_unit(match[3], match[1]) if match else None
        try:
            limits.append(CostLimit(match[1], match[2], float(bound)))  # type: ignore[index, arg-type]
        except (TypeError, ValueError):
            raise RefitError(
                f"--best-within must look like 'accuracy >= 0.97 and size <= 40KB', got {part!r}."
            ) from None
    return limits


def within(
    study: StudyRecord, limits: Sequence[CostLimit], wanted: RecordedObjective | None
) -> TrialRecord:
    """Return the best of the complete trials that meet all conditions.

    Args:
        wanted: the objective that decides; None for the study's (first) objective.

    Raises:
        RefitError: a metric was not measured, or no trial meets the conditions.
    """
    measured = [(trial, measured_values(study, trial)) for trial in ranking.ranked(study)]
    if not measured:
        raise _none_complete(study)
    for name in [*(limit.metric for limit in limits), *([wanted.metric] if wanted else [])]:
        _refuse_unmeasured(study, [values for _, values in measured], name)
        measured = [(trial, values) for trial, values in measured if math.isfinite(values[name])]
        if not measured:
            raise RefitError(f"{name} is not defined for any complete trial of {study.name}.")
    by = wanted or study.objectives[0]
    sign = -1.0 if by.direction == "maximize" else 1.0
    eligible = [
        (sign * values[by.metric], trial.number, trial)
        for trial, values in measured
        if all(limit.holds(values[limit.metric]) for limit in limits)
    ]
    if not eligible:
        closest = [_closest([values for _, values in measured], limit) for limit in limits]
        raise RefitError(
            f"no complete trial meets all conditions at once: {', and '.join(closest)}. Relax a "
            "condition."
        )
    return min(eligible)[-1]


def _closest(measured: Sequence[Mapping[str, float]], limit: CostLimit) -> str:
    """Return the best value of any trial, in words."""
    values = [one[limit.metric] for one in measured]
    reached = max(values) if limit.sign.startswith(">") else min(values)
    side = "highest" if limit.sign.startswith(">") else "lowest"
    return f"the {side} {limit.metric} of any trial is {metric_text(limit.metric, reached)}"


def measured_values(study: StudyRecord, trial: TrialRecord) -> dict[str, float]:
    """Return all measured values of a complete trial by name; `f1` is also that of `f1_binary`."""
    known = {"n_weights": float(trial.n_weights)} if trial.n_weights is not None else {}
    values = zip((one.metric for one in study.objectives), trial.values, strict=False)
    known |= dict(trial.metrics) | dict(values)
    return {name.removesuffix("_binary"): value for name, value in known.items()} | known


def _refuse_unmeasured(
    study: StudyRecord, measured: Sequence[Mapping[str, float]], name: str
) -> None:
    if not all(name in known for known in measured):
        names = sorted(set.intersection(*map(set, measured)))
        hint = did_you_mean(name, names) or f" Available: {', '.join(names)}."
        raise RefitError(f"{name} was not measured in study {study.name}.{hint}")


def _none_complete(study: StudyRecord) -> RefitError:
    return RefitError(f"study {study.name} has no complete trial yet.")
