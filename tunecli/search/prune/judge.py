"""Judge running trials by Optuna's pruners, in an order that does not depend on the workers.

A trial is compared with the finished trials that it was suggested from, and only with those of the
same kind of curve: schedules that start low and end high (warm-up, OneCycleLR, CyclicLR) are one
kind, all others another. A verdict depends on the trial's curve and on theirs alone, not on
anything that a pruner stored before. So a resumed search judges like an uninterrupted one.
"""

from __future__ import annotations

import warnings
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime

import optuna
from optuna import pruners
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from tunecli.database.trials import STATES, Trial
from tunecli.search.prune.halving import HALVING, Brackets, Halving
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
    arguments = pruner.arguments
    if pruner.name in HALVING:
        return Halving.of(pruner, length, bracket=0).first
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
        frozen: the trial as Optuna's pruners see it; None while it runs.
        others: the trials that it is compared with; None while they may change.
        view: `others` as a study, for Optuna's pruners.
    """

    rising: bool
    bracket: int
    n_evaluations: int
    visible: Container[int]
    curve: list[float]
    frozen: FrozenTrial | None = None
    others: list[_Judged] | None = None
    view: _View | None = None


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
        self._trials: dict[int, _Judged] = {}
        self._storage = InMemoryStorage()  # of a study without trials, for the views
        optuna.create_study(storage=self._storage, study_name=study, direction=direction)

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
        running = _freeze(number, judged.curve, None, None)
        return make_pruner(self._pruner).prune(self._view(judged), running)

    def finish(self, trial: Trial) -> None:
        """End a trial: from now on others may be compared with it."""
        assert trial.outcome is not None
        judged = self._trials[trial.number]
        state = STATES[trial.outcome]
        judged.frozen = _freeze(trial.number, judged.curve, state, trial.value)
        judged.others = judged.view = None  # they would take memory for every trial

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
            if other.frozen is not None
            and number in judged.visible
            and (other.rising, other.bracket) == (judged.rising, judged.bracket)
        ]
        if isinstance(judged.visible, range):  # all had ended before the trial began
            judged.others = others
        return others

    def _view(self, judged: _Judged) -> _View:
        if judged.view is not None:
            return judged.view
        others = self._comparable(judged)
        frozen = [other.frozen for other in others if other.frozen is not None]
        view = _View(self._study, self._storage, frozen)
        if judged.others is not None:
            judged.view = view
        return view

    def _bracket(self, number: int, length: int) -> int:
        if self._pruner is None or self._pruner.name != "HyperbandPruner":
            return 0
        brackets = Brackets.of(self._pruner.arguments, length)
        return brackets.choose(f"{self._study}_{number}")


def make_pruner(component: Component) -> pruners.BasePruner:
    """Return one of Optuna's pruners that judge by curves alone.

    Raises:
        ValueError: Optuna refuses an argument; the message is Optuna's.
    """
    arguments = dict(component.arguments)
    if component.name != "PatientPruner":
        made: pruners.BasePruner = getattr(pruners, component.name)(**arguments)
        return made
    wrapped = arguments.pop("wrapped_pruner", None)
    if wrapped is not None and wrapped.name in HALVING:
        raise ValueError(
            f"PatientPruner cannot wrap {wrapped.name}, which decides at only a few evaluations, "
            "usually before patience runs out. Wrap Median, Percentile or Threshold."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return pruners.PatientPruner(make_pruner(wrapped) if wrapped else None, **arguments)


class _View(optuna.Study):
    """A study with only the trials that one trial may see."""

    def __init__(self, name: str, storage: InMemoryStorage, trials: Sequence[FrozenTrial]) -> None:
        super().__init__(name, storage, pruner=pruners.NopPruner())
        self._shown = trials

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]


def _freeze(
    number: int, curve: Sequence[float], state: TrialState | None, value: float | None
) -> FrozenTrial:
    """Return a trial as Optuna's pruners expect it; running if `state` is None."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state or TrialState.RUNNING,
        value=value if state == TrialState.COMPLETE else None,
        datetime_start=_EPOCH,
        datetime_complete=_EPOCH if state else None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values=dict(enumerate(curve)),
    )
