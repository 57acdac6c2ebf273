"""How much each parameter matters: Optuna's default evaluator, on a study rebuilt in memory.

That evaluator is PED-ANOVA (https://arxiv.org/abs/2304.10255) in its form for conditional
parameters (https://arxiv.org/abs/2601.20800): a parameter of a branch is evaluated among the
trials that have it, and weighted by their share. It measures what the best tenth of the trials
have in common.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.ranking import ranked
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range

if TYPE_CHECKING:
    from optuna import Study

    from tunecli.database.shown_study import ShownStudy

ENOUGH_TRIALS = 10

_TOP = 0.1  # the evaluator's share of best trials
_FEWEST = 5  # trials; with fewer, the share of a rare branch's parameter would be chance


@dataclass(frozen=True)
class Importance:
    """The importance of each parameter, largest first.

    Attributes:
        n_trials: complete trials that it rests on.
        values: shares, with a sum of 1.
        left_out: why a parameter has no importance.
        reason: why nothing could be computed; empty if something could.
    """

    n_trials: int
    values: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def importance(study: StudyRecord) -> Importance:
    """Return the importance of parameters over the complete trials of a study."""
    trials = ranked(study)
    reason = _why_not(trials)
    if reason:
        return Importance(len(trials), reason=reason)
    left_out = _left_out(trials)
    names = [name for name in _names(trials) if name not in left_out]
    if not names:
        reason = "no parameter varies"
        return Importance(len(trials), left_out=left_out, reason=reason)
    return Importance(
        len(trials), importances_of(rebuilt(study, trials, set(names)), names), left_out
    )


def importances_of(study: Study, names: Sequence[str]) -> dict[str, float]:
    """Return the importances of these parameters, largest first.

    The evaluator's warning on rare branches is suppressed.
    """
    from optuna.importance import get_param_importances

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some regimes for parameter", UserWarning)
        return get_param_importances(study, params=[*names])


def _why_not(trials: Sequence[TrialRecord]) -> str:
    """Return why importance cannot be computed, or an empty text. Args: `trials`: best first."""
    if len(trials) < ENOUGH_TRIALS:
        return f"{ENOUGH_TRIALS} complete trials are needed; this study has {len(trials)}"
    values = [trial.value for trial in trials if trial.value is not None]
    return "the scores hardly differ" if hardly_differ(values) else ""


def hardly_differ(values: Sequence[float]) -> bool:
    """Return whether the best tenth is no better than the rest.

    Args:
        values: best first.
    """
    return values[math.ceil(_TOP * len(values)) - 1] == values[-1]


def _names(trials: Sequence[TrialRecord]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.params))


def _left_out(trials: Sequence[TrialRecord]) -> dict[str, str]:
    reasons = {}
    for name in _names(trials):
        ranges = [trial.ranges[name] for trial in trials if name in trial.ranges]
        if len(ranges) < _FEWEST:
            have = "trial has" if len(ranges) == 1 else "trials have"
            reasons[name] = f"only {len(ranges)} complete {have} it"
        elif all(_is_single(kind) for kind in ranges):
            reasons[name] = "its range is a single value"
        elif len({_shape(kind) for kind in ranges}) > 1:
            reasons[name] = "its range changed its type"
    return reasons


def _is_single(kind: Range) -> bool:
    match kind:
        case Categories(choices):
            return len(choices) == 1
        case FloatRange() | IntRange():
            return kind.low == kind.high


def _shape(kind: Range) -> object:
    """Return what Optuna requires to be the same in all trials of a study."""
    match kind:
        case Categories(choices):
            return tuple((type(choice), choice) for choice in choices)
        case FloatRange() | IntRange():
            return type(kind), kind.log


def rebuilt(study: StudyRecord, trials: Sequence[TrialRecord], names: set[str]) -> ShownStudy:
    """Return these trials as Optuna's study, by number, with only the named parameters."""
    from tunecli.database.shown_study import ShownStudy, complete_trial, shared
    from tunecli.database.trials import to_distribution  # imports Optuna, which is slow

    kinds = dict.fromkeys(kind for trial in trials for kind in trial.ranges.values())
    distributions = shared({kind: to_distribution(kind) for kind in kinds})
    shown = [
        complete_trial(
            trial.number,
            trial.value,
            {name: value for name, value in trial.params.items() if name in names},
            {name: distributions[kind] for name, kind in trial.ranges.items() if name in names},
        )
        for trial in sorted(trials, key=lambda trial: trial.number)
    ]
    return ShownStudy(study.direction, shown)
