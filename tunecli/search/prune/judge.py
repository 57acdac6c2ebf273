"""Judge running trials by Optuna's pruners, in an order that does not depend on the workers.

A trial is compared with the finished trials that it was suggested from, and only with those of the
same kind of curve: schedules that start low and end high (warm-up, OneCycleLR, CyclicLR) are one
kind, all others another. While only some folds of a trial train, its mean over these is compared
with the means of the others over the same folds. A verdict depends on the trial's curve and on
theirs alone, not on anything that a pruner stored before. So a resumed search judges like an
uninterrupted one.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
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
from tunecli.search.prune.stage_curves import stored_curves
from tunecli.search.prune.warmup_share import WARMUP, at_length
from tunecli.study_file.settings.fold_stages import may_race
from tunecli.study_file.settings.settings import Component, Direction, TrialConfig
from tunecli.training.step.timetable import n_evaluations

RISING = frozenset({"OneCycleLR", "CyclicLR", "CosLogLR"})

_MEDIAN = Component(name="MedianPruner")
_NOT_AT_ENDS = (WARMUP, "n_warmup_steps", "interval_steps")  # about evaluations within a stage

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
        races: whether some of its folds may join later than others.
        curves: its curve in each stage, by the number of folds that have not joined yet.
        most_waiting: that number in its first stage.
        has_ended: whether others may be compared with it.
        others: the trials that it is compared with by halving; None while they may change.
    """

    rising: bool
    bracket: int
    n_evaluations: int
    visible: Container[int]
    races: bool
    curves: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    most_waiting: int = 0
    has_ended: bool = False
    others: list[_Judged] | None = None

    @property
    def kind(self) -> tuple[bool, int]:
        """What it has in common with the trials that it may be compared with."""
        return self.rising, self.bracket


_Kind = tuple[bool, int, int, bool]


@dataclass(frozen=True)
class _Stage:
    """What of a trial is compared.

    Attributes:
        n_waiting: number of its folds that have not joined yet.
        is_over: whether the best scores of whole stages are compared, instead of single scores.
    """

    number: int
    n_waiting: int
    is_over: bool = False

    def of(self, kind: tuple[bool, int]) -> _Kind:
        """Return what the trials have in common that may be compared in this."""
        return (*kind, self.n_waiting, self.is_over)


class Judge:
    """The pruner: decides whether a running trial stops, from the mean curves of all trials.

    Args:
        pruner: a class of optuna.pruners; None stops a trial only where more folds would join.
        study: the study's name; with the trial's number, it decides Hyperband's brackets.
    """

    def __init__(self, pruner: Component | None, direction: Direction, study: str) -> None:
        self._pruner = pruner
        self._direction = direction
        self._study = study
        self._trials: dict[int, _Judged] = {}
        self._made: dict[str, pruners.BasePruner] = {}
        self._complete: defaultdict[_Kind, SortedCurves] = defaultdict(SortedCurves)

    def judges(self, number: int) -> bool:
        """Return whether the trial may be stopped after an evaluation."""
        return self._pruner is not None or self._trials[number].races

    def start(self, number: int, config: TrialConfig, visible: Container[int]) -> None:
        """Begin a trial, or another attempt at it: its curve begins again.

        Args:
            visible: the trials that it will be compared with, once they have ended.
        """
        length = n_evaluations(config)
        schedule = config.schedule.name if config.schedule else ""
        rising = config.training.warmup > 0 or schedule in RISING
        self._trials[number] = _Judged(
            rising, self._bracket(number, length), length, visible, may_race(config)
        )

    def add(self, number: int, mean: float, n_waiting: int = 0) -> None:
        """Add the mean score of the trial's next evaluation, smoothed over those before it.

        Args:
            n_waiting: number of folds that have not joined yet where the mean is taken.
        """
        self._trials[number].curves[n_waiting].append(mean)

    def stops(self, number: int, n_waiting: int = 0, *, ends_stage: bool = False) -> bool:
        """Return whether the trial should end after its newest evaluation.

        Args:
            n_waiting: number of its folds that have not joined yet.
            ends_stage: whether more folds join next, unless the trial ends.
        """
        judged = self._trials[number]
        judged.most_waiting = max(judged.most_waiting, n_waiting)
        is_first = n_waiting == judged.most_waiting
        rules = self._rules(_Stage(number, n_waiting), is_first=is_first, ends_stage=ends_stage)
        return any(self._verdict(rule, stage) for rule, stage in rules)

    def _rules(
        self, stage: _Stage, *, is_first: bool, ends_stage: bool
    ) -> Iterator[tuple[Component, _Stage]]:
        """Yield the rules by which a trial may end, and what they compare.

        At the end of a stage, its best score must not be worse than the pruner's percentile of
        those of the complete trials: the median, unless the pruner has another one. Successive
        halving decides at the rungs of the first stage alone: a quarter of a quarter would be few.
        """
        pruner = self._pruner
        halves = pruner is not None and pruner.name in HALVING
        if pruner is not None and (is_first or not halves):
            yield pruner, stage
        if ends_stage and not halves:
            yield _rule_of_ends(pruner), replace(stage, is_over=True)

    def _verdict(self, pruner: Component, stage: _Stage) -> bool:
        judged = self._trials[stage.number]
        curve = judged.curves[stage.n_waiting]
        if pruner.name in HALVING:
            rule = Halving.of(pruner, judged.n_evaluations, judged.bracket)
            curves = [other.curves.get(stage.n_waiting, []) for other in self._comparable(judged)]
            return rule.stops(curve, curves, self._direction)
        complete = self._complete[stage.of(judged.kind)]
        self._view.complete = complete.seen_by(judged.visible)
        values = [self._best(curve)] if stage.is_over else curve
        optunas = self._optunas(at_length(pruner, judged.n_evaluations))
        return optunas.prune(self._view, _running(stage.number, values))

    def _best(self, curve: Sequence[float]) -> float:
        return max(curve) if self._direction == "maximize" else min(curve)

    def finish(self, trial: Trial) -> None:
        """End a trial: from now on others may be compared with it."""
        judged = self._trials[trial.number]
        judged.has_ended = True
        judged.others = None  # they would take memory for every trial
        if trial.outcome != "complete":
            return
        for n_waiting, curve in judged.curves.items():
            stage = _Stage(trial.number, n_waiting)
            self._complete[stage.of(judged.kind)].add(trial.number, curve)
            if n_waiting:
                over = replace(stage, is_over=True)
                self._complete[over.of(judged.kind)].add(trial.number, [self._best(curve)])

    def restore(
        self, trial: Trial, visible: Container[int], others: TrialConfig | None = None
    ) -> None:
        """Add a trial of an earlier call, with its curves if it has ended.

        Args:
            others: the configuration of trials that begin now; None if it is the trial's own.
        """
        self.start(trial.number, trial.config, visible)
        if trial.outcome is not None:
            for n_waiting, curve in stored_curves(trial, others or trial.config).items():
                self._trials[trial.number].curves[n_waiting].extend(curve)
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

    def _optunas(self, pruner: Component) -> pruners.BasePruner:
        key = pruner.model_dump_json()
        if key not in self._made:
            self._made[key] = make_pruner(pruner)
        return self._made[key]

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


def _rule_of_ends(pruner: Component | None) -> Component:
    """Return the rule for the ends of stages, without arguments about single evaluations."""
    if pruner is None or pruner.name not in PERCENTILES:
        return _MEDIAN
    kept = {name: value for name, value in pruner.arguments.items() if name not in _NOT_AT_ENDS}
    return Component(name=pruner.name, arguments=kept)


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
