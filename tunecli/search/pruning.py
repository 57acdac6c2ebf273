"""Judging running trials by Optuna's pruners, in an order that no worker can change.

A trial is compared with the finished trials that it was suggested from, and only with those of the
same kind of curve: schedules that start low and end high (warm-up, OneCycleLR, CyclicLR) are one
kind, all others the other. Successive halving within a Hyperband bracket is compared within the
bracket.
"""

from __future__ import annotations

import binascii
import math
import warnings
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna import pruners
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from tunecli.search.database import Trial
from tunecli.study_file.settings import Component, Direction, TrialConfig
from tunecli.training.timetable import Timetable

RISING = frozenset({"OneCycleLR", "CyclicLR"})

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def n_evaluations(config: TrialConfig) -> int:
    """How many evaluations a trial has if nothing stops it."""
    return len(Timetable.of(config.training, n_batches=1).evaluations)


@dataclass(frozen=True)
class _Group:
    """Trials that may be compared with each other."""

    rising: bool
    bracket: int


class Judge:
    """Says whether a running trial should stop. Holds every trial's mean curve.

    Args:
        pruner: of optuna.pruners; None lets every trial run to its end.
        study: its name decides Hyperband's brackets, with the trial's number.
    """

    def __init__(self, pruner: Component | None, direction: Direction, study: str) -> None:
        self._pruner = pruner
        self._name = study
        self._storage = InMemoryStorage()
        optuna.create_study(storage=self._storage, study_name=study, direction=direction)
        self._study_id = self._storage.get_study_id_from_name(study)
        self._ids: dict[int, int] = {}
        self._groups: dict[int, _Group] = {}
        self._lengths: dict[int, int] = {}
        self._visible: dict[int, Container[int]] = {}

    @property
    def judges(self) -> bool:
        """Whether there is anything to ask."""
        return self._pruner is not None

    def start(self, number: int, config: TrialConfig, visible: Container[int]) -> None:
        """Begin a trial that will be compared with the trials in `visible` only."""
        if self._pruner is None:
            return
        self._ids[number] = self._storage.create_new_trial(self._study_id)
        self._lengths[number] = n_evaluations(config)
        self._groups[number] = _Group(_rises(config), self._bracket(number))
        self._visible[number] = visible

    def should_stop(self, number: int, step: int, mean: float) -> bool:
        """Add the mean score at evaluation `step` to the trial's curve, and judge it."""
        if self._pruner is None:
            return False
        trial = self._add_mean(number, step, mean)
        view = _View(self._name, self._storage, self._comparable(number))
        return self._make(number).prune(view, trial)

    def finish(self, trial: Trial) -> None:
        """From now on others may be compared with this trial."""
        if self._pruner is not None and trial.outcome is not None:
            self._storage.set_trial_state_values(
                self._ids[trial.number],
                _STATES[trial.outcome],
                None if trial.value is None else [trial.value],
            )

    def restore(self, trial: Trial, visible: Container[int]) -> None:
        """Take in a trial of an earlier call, with its curve."""
        self.start(trial.number, trial.config, visible)
        if self._pruner is None or trial.outcome is None:
            return
        alone = _View(self._name, self._storage, lambda other: False)
        for step, mean in enumerate(trial.curve):
            frozen = self._add_mean(trial.number, step, mean)
            if self._pruner.name in _HALVING:  # they keep the rungs a trial has reached
                self._make(trial.number).prune(alone, frozen)
        self.finish(trial)

    def _add_mean(self, number: int, step: int, mean: float) -> FrozenTrial:
        trial_id = self._ids[number]
        self._storage.set_trial_intermediate_value(trial_id, step, mean)
        return self._storage.get_trial(trial_id)

    def _comparable(self, number: int) -> Callable[[int], bool]:
        group, visible = self._groups[number], self._visible[number]
        return lambda other: other in visible and self._groups[other] == group

    def _bracket(self, number: int) -> int:
        if self._pruner is None or self._pruner.name != "HyperbandPruner":
            return 0
        return _Brackets.of(self._pruner.arguments, self._lengths[number]).choose(
            f"{self._name}_{number}"
        )

    def _make(self, number: int) -> pruners.BasePruner:
        assert self._pruner is not None
        return make_pruner(self._pruner, self._lengths[number], self._groups[number].bracket)


_HALVING = frozenset({"SuccessiveHalvingPruner", "HyperbandPruner"})


def _rises(config: TrialConfig) -> bool:
    schedule = config.schedule.name if config.schedule else ""
    return config.training.warmup > 0 or schedule in RISING


class _View(optuna.Study):
    """The study as one trial may see it."""

    def __init__(self, name: str, storage: InMemoryStorage, shows: Callable[[int], bool]) -> None:
        super().__init__(name, storage, pruner=pruners.NopPruner())
        self._shows = shows

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        found = super().get_trials(deepcopy=False, states=states)
        return [trial for trial in found if self._shows(trial.number)]


@dataclass(frozen=True)
class _Brackets:
    """Hyperband's brackets: bracket s stops trials from reduction_factor**s evaluations on.

    As in Optuna, after Li et al. 2018 (JMLR 18-185, algorithm 1) with asynchronous halving; the
    number of evaluations is known, so nothing has to be guessed from the first trials.
    """

    budgets: tuple[int, ...]

    @classmethod
    def of(cls, arguments: Mapping[str, Any], n_evaluations: int) -> _Brackets:
        factor = arguments.get("reduction_factor", 3)
        longest = arguments.get("max_resource", "auto")
        longest = n_evaluations if longest == "auto" else longest
        ratio = max(1.0, longest / arguments.get("min_resource", 1))
        n_brackets = math.floor(math.log(ratio, factor) + 1e-9) + 1
        return cls(
            tuple(
                math.ceil(n_brackets * factor**left / (left + 1))
                for left in reversed(range(n_brackets))
            )
        )

    def choose(self, key: str) -> int:
        """The bracket that a hash gives, each as often as its budget says."""
        left = binascii.crc32(key.encode()) % sum(self.budgets)
        for bracket, budget in enumerate(self.budgets):
            left -= budget
            if left < 0:
                return bracket
        raise AssertionError("the budgets add up")


def make_pruner(component: Component, n_evaluations: int, bracket: int) -> pruners.BasePruner:
    """The pruner for trials of so many evaluations.

    Args:
        bracket: of Hyperband; 0 for all others.

    Raises:
        ValueError: in Optuna's words.
    """
    arguments = dict(component.arguments)
    match component.name:
        case "HyperbandPruner":
            return pruners.SuccessiveHalvingPruner(
                min_resource=arguments.get("min_resource", 1),
                reduction_factor=arguments.get("reduction_factor", 3),
                min_early_stopping_rate=bracket,
                bootstrap_count=arguments.get("bootstrap_count", 0),
            )
        case "SuccessiveHalvingPruner":
            if arguments.get("min_resource", "auto") == "auto":
                # Optuna's own rule, on the planned length instead of the first trial's
                arguments["min_resource"] = max((n_evaluations - 1) // 100, 1)
            return pruners.SuccessiveHalvingPruner(**arguments)
        case "PatientPruner":
            wrapped = arguments.pop("wrapped_pruner", None)
            inner = make_pruner(wrapped, n_evaluations, bracket) if wrapped else None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return pruners.PatientPruner(inner, **arguments)
        case _:
            made: pruners.BasePruner = getattr(pruners, component.name)(**arguments)
            return made
