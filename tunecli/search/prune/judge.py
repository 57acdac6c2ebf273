"""Judge running trials by Optuna's pruners, in an order that does not depend on the workers.

A trial is compared with the finished trials that it was suggested from, and only with those of the
same kind of curve: schedules that start low and end high (warm-up, OneCycleLR, CyclicLR) are one
kind, all others another. A verdict depends on the trial's curve and on theirs alone, not on
anything that a pruner stored before. So a resumed search judges like an uninterrupted one.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import optuna
from optuna import pruners
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from tunecli.database.trials import Trial
from tunecli.search.prune.halving import HALVING, Brackets, Halving
from tunecli.search.prune.percentile import PERCENTILES, JudgedStudy, Percentile, SortedCurves
from tunecli.search.prune.warmup_share import at_length
from tunecli.study_file.settings.settings import Component, Direction, TrialConfig
from tunecli.training.outcome.evaluation_choice import choice_for
from tunecli.training.step.timetable import n_evaluations

RISING = frozenset({"OneCycleLR", "CyclicLR"})

_EPOCH = datetime(1970, 1, 1)  # pruners ignore times, but Optuna requires them


def first_verdict(pruner: Component, length: int) -> int:
    """Return the index of the first evaluation after which a pruner could stop a trial.

    Args:
        length: number of evaluations of the trial.
    """
    if pruner.name in HALVING:
        return Halving.of(pruner, length, bracket=0).first
    arguments = at_length(pruner, length).arguments
    wrapped = arguments.get("wrapped_pruner")
    if isinstance(wrapped, Component):
        return max(int(arguments["patience"]), first_verdict(wrapped, length))
    return int(arguments.get("n_warmup_steps", 0))


@dataclass
class _Judged:
    """A trial as the judge knows it.

    Attributes:
        rising: whether its schedule starts low and ends high.
        bracket: its bracket of Hyperband; 0 for all other pruners.
        visible: the trials that it may be compared with, once they have ended.
        has_ended: whether others may be compared with it.
        others: the trials that it is compared with by halving; None while they may change.
    """

    rising: bool
    bracket: int
    n_evaluations: int
    visible: Container[int]
    curve: list[float]
    has_ended: bool = False
    others: list[_Judged] | None = None

    @property
    def kind(self) -> tuple[bool, int]:
        """What it has in common with the trials that it may be compared with."""
        return self.rising, self.bracket


class Judge:
    """The pruner: decides whether a running trial stops, from the mean curves of all trials.

    Args:
        pruner: a class of optuna.pruners; None lets every trial run to its end.
        study: the study's name; with the trial's number, it decides Hyperband's brackets.
    """

    def __init__(self, pruner: Component | None, direction: Direction, study: str) -> None:
        self._pruner = pruner
        self._direction = direction
        self._study = study
        self._by_length: dict[int, pruners.BasePruner] = {}
        self._trials: dict[int, _Judged] = {}
        self._complete: defaultdict[tuple[bool, int], SortedCurves] = defaultdict(SortedCurves)

    @property
    def judges(self) -> bool:
        """Whether there is a pruner."""
        return self._pruner is not None

    def start(self, number: int, config: TrialConfig, visible: Container[int]) -> None:
        """Begin a trial, or another attempt at it: its curve begins again.

        Args:
            visible: the trials that it will be compared with, once they have ended.
        """
        length = n_evaluations(config)
        schedule = config.schedule.name if config.schedule else ""
        rising = config.training.warmup > 0 or schedule in RISING
        self._trials[number] = _Judged(
            rising, self._bracket(number, length), length, visible, curve=[]
        )

    def add(self, number: int, mean: float) -> None:
        """Add the mean score of the trial's next evaluation, smoothed over those before it."""
        self._trials[number].curve.append(mean)

    def stops(self, number: int) -> bool:
        """Return whether the trial should end after its newest evaluation."""
        if self._pruner is None:
            return False
        judged = self._trials[number]
        if self._pruner.name in HALVING:
            rule = Halving.of(self._pruner, judged.n_evaluations, judged.bracket)
            curves = [other.curve for other in self._comparable(judged)]
            return rule.stops(judged.curve, curves, self._direction)
        self._view.complete = self._complete[judged.kind].seen_by(judged.visible)
        optunas = self._optunas(judged.n_evaluations)
        return optunas.prune(self._view, _running(number, judged.curve))

    def finish(self, trial: Trial) -> None:
        """End a trial: from now on others may be compared with it."""
        judged = self._trials[trial.number]
        judged.has_ended = True
        judged.others = None  # they would take memory for every trial
        if trial.outcome == "complete":
            self._complete[judged.kind].add(trial.number, judged.curve)

    def restore(self, trial: Trial, visible: Container[int]) -> None:
        """Add a trial of an earlier call, with its curve if it has ended."""
        self.start(trial.number, trial.config, visible)
        if trial.outcome is not None:
            smoothed = choice_for(trial.config, trial.curve).smoothed
            self._trials[trial.number].curve.extend(smoothed)
            self.finish(trial)

    def _comparable(self, judged: _Judged) -> list[_Judged]:
        if judged.others is not None:
            return judged.others
        others = [
            other
            for number, other in self._trials.items()
            if other.has_ended and number in judged.visible and other.kind == judged.kind
        ]
        if isinstance(judged.visible, range):  # all had ended before the trial began
            judged.others = others
        return others

    def _optunas(self, length: int) -> pruners.BasePruner:
        """Return the pruner of trials with `length` evaluations."""
        if length not in self._by_length:
            assert self._pruner is not None
            self._by_length[length] = make_pruner(at_length(self._pruner, length))
        return self._by_length[length]

    @cached_property
    def _view(self) -> JudgedStudy:
        storage = InMemoryStorage()  # without trials: pruners see only `complete`
        optuna.create_study(storage=storage, study_name=self._study, direction=self._direction)
        return JudgedStudy(self._study, storage, pruner=pruners.NopPruner())

    def _bracket(self, number: int, length: int) -> int:
        if self._pruner is None or self._pruner.name != "HyperbandPruner":
            return 0
        brackets = Brackets.of(self._pruner.arguments, length)
        return brackets.choose(f"{self._study}_{number}")


def make_pruner(component: Component) -> pruners.BasePruner:
    """Return one of Optuna's pruners that judge by curves alone, or one with the same verdicts.

    Raises:
        ValueError: Optuna refuses an argument; the message is Optuna's.
    """
    arguments = dict(component.arguments)
    if component.name != "PatientPruner":
        made: pruners.BasePruner = getattr(pruners, component.name)(**arguments)
        return Percentile(**arguments) if component.name in PERCENTILES else made
    wrapped = arguments.pop("wrapped_pruner", None)
    if wrapped is not None and wrapped.name in HALVING:
        raise ValueError(
            f"PatientPruner cannot wrap {wrapped.name}, which decides at only a few evaluations, "
            "usually before patience runs out. Wrap Median, Percentile or Threshold."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return pruners.PatientPruner(make_pruner(wrapped) if wrapped else None, **arguments)


def _running(number: int, curve: Sequence[float]) -> FrozenTrial:
    """Return a running trial as Optuna's pruners expect it."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=_EPOCH,
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values=dict(enumerate(curve)),
    )
