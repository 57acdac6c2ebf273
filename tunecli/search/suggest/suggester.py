"""Suggest trials in order (the sampler), each from the earlier trials that it may see.

The suggester keeps one in-memory Optuna study for the whole search, and changes it in one order
only: before trial n is suggested, trials up to n - parallel are shown (`visible_trials.py`). The
trials in between are in the study as running, with their parameters. So the suggestions depend on
the study file and the trials' results alone, not on when a worker happened to finish.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from tunecli.database.attributes import Lesson
from tunecli.database.trials import Trial, to_distribution
from tunecli.errors import TunecliError
from tunecli.search.suggest.enumeration import Point, shuffled_points
from tunecli.search.suggest.samplers import (
    KINDS,
    common_space,
    make_sampler,
    share_space,
)
from tunecli.search.suggest.tpe import TrialRows
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.space.walk import contains
from tunecli.study_file.study_file import Study
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.failure_reasons import says_out_of_memory
from tunecli.training.outcome.fold_gains import FoldGains

_CONSTRAINT = "constraints:"  # Optuna's prefix of constraint names; above 0 is violated
_OF_MEMORY = {"memory": 1.0}  # the violation of a trial that ran out of memory

_Values = tuple[float, ...]


@dataclass(frozen=True)
class Suggestion:
    """Parameters for a new trial, in the order in which the study file asks for them."""

    params: dict[str, Scalar]
    distributions: dict[str, BaseDistribution]
    config: TrialConfig


class ReplayError(TunecliError):
    """A replayed suggestion differs from the stored one, e.g. after a library was updated."""


class Suggester:
    """Suggests trial after trial.

    Args:
        study: a completed study file.
        start_with: partial parameter assignments for the first trials.
        history: the study's trials so far, in order.
        lag: which trials each trial may see; also an attribute.
        segment: the first trial since the last edit of the space or the sampler; replayed samplers
            start over there.
        lessons: trials of other studies, shown before the first trial of this one.
    """

    def __init__(
        self,
        study: Study,
        start_with: Sequence[Point],
        history: Sequence[Trial],
        lag: VisibleTrials,
        segment: int = 0,
        lessons: Sequence[Lesson] = (),
    ) -> None:
        self.lag = lag
        self._study_file = study
        self._start_with = start_with
        self._kind = KINDS[study.search.sampler.name]
        self._ranges = {parameter.name: parameter.range for parameter in study.parameters}
        self._space = common_space(study.search.sampler, study.parameters)
        self._rows = TrialRows()
        self._branches = any(parameter.conditions for parameter in study.parameters)
        self._directions = [objective.direction for objective in study.objectives]
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage, study_name=study.name, directions=self._directions
        )
        self._ids: dict[int, int] = {}
        self._n_shown = 0
        self._shown: set[int] = set()  # in `show_finished`
        self._worst: tuple[float, ...] | None = None
        self._gains = FoldGains()
        self._points = shuffled_points(study) if self._kind.continues == "enumerated" else []
        for lesson in lessons:
            self._learn(lesson)
        self._restore(history, segment)

    def ask(self, number: int) -> Suggestion | None:
        """Suggest trial `number`; None once every point of a finite space was tried."""
        fixed = self._start_with[number] if number < len(self._start_with) else {}
        if self._kind.continues == "enumerated":
            return self._next_point(fixed)
        return self._ask_sampler(number, fixed)

    def show(self, trials: Sequence[Trial], n_shown: int) -> None:
        """Show the sampler how the trials before `n_shown` ended, unless it has seen them."""
        for trial in trials[self._n_shown : n_shown]:
            if trial.outcome is None:  # only if `order` was free before
                return
            self._show(trial)
            self._n_shown += 1

    def show_finished(self, trials: Sequence[Trial]) -> None:
        """Show the sampler every trial that has ended, in whatever order (`order: free`)."""
        for trial in trials:
            if trial.outcome is not None and trial.number not in self._shown:
                self._show(trial)
                self._shown.add(trial.number)

    # --- asking

    def _ask_sampler(self, number: int, fixed: Point) -> Suggestion:
        study = self._study_file
        sampler = make_sampler(
            study.search.sampler, study.seed, number, self._rows, branches=self._branches
        )
        if self._worst is not None:  # a trial is complete
            share_space(self._space, sampler)
        self._study.sampler = sampler
        if fixed:
            self._study.enqueue_trial(fixed)
        asked = self._study.ask()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Separable CMA-ES")  # is CMA-ES in one dimension
            config = study.resolve(partial(_suggest, asked))
        self._ids[number] = asked._trial_id
        self._forget_unasked(asked._trial_id)
        return Suggestion(asked.params, asked.distributions, config)

    def _forget_unasked(self, trial_id: int) -> None:
        # TPE and GP store what they drew jointly in the running trial, also for branches that were
        # not taken. A study rebuilt from the database lacks these values, so they are removed.
        for key in self._storage.get_trial(trial_id).system_attrs:
            if key.startswith(("tpe:relative_params", "gp:relative_params")):
                self._storage.set_trial_system_attr(trial_id, key, "")

    def _next_point(self, fixed: Point) -> Suggestion | None:
        if not self._points:
            return None
        wanted = (i for i, point in enumerate(self._points) if _agrees(point, fixed))
        point = self._points.pop(next(wanted, 0))  # no point is tried twice
        distributions = {name: to_distribution(self._ranges[name]) for name in point}
        config = self._study_file.resolve(lambda name, _: point[name])
        return Suggestion(point, distributions, config)

    # --- showing

    def _show(self, trial: Trial) -> None:
        if trial.outcome == "complete":
            self._gains.add(trial.fold_scores)
        trial_id = self._ids.get(trial.number)  # None: values outside the current ranges
        state, values, curve = self._seen(trial)
        if trial_id is None or self._storage.get_trial(trial_id).state.is_finished():
            return
        for name, distance in self._violations(trial).items():
            self._storage.set_trial_system_attr(trial_id, name, distance)
        for step, mean in curve.items():
            self._storage.set_trial_intermediate_value(trial_id, step, mean)
        self._storage.set_trial_state_values(trial_id, state, values)

    def _learn(self, lesson: Lesson) -> None:
        """Add a trial of another study to the in-memory study, with its result."""
        state, values, curve = self._seen(lesson)
        if state == TrialState.FAIL or not self._holds(lesson.params):
            return
        distributions = {name: to_distribution(self._ranges[name]) for name in lesson.params}
        ended: FrozenTrial = create_trial(
            state=state,
            values=values,
            params=lesson.params,
            distributions=distributions,
            intermediate_values=curve,
            system_attrs=self._violations(lesson),
        )
        study_id = self._storage.get_study_id_from_name(self._study_file.name)
        self._storage.create_new_trial(study_id, ended)

    def _seen(self, trial: Trial | Lesson) -> tuple[TrialState, _Values | None, dict[int, float]]:
        """Return a trial as the sampler sees it: state, values, curve.

        An error says nothing about the configuration; every other outcome does.
        """
        if trial.outcome == "failed" and not says_out_of_memory(trial.reason):
            return TrialState.FAIL, None, {}
        if self._kind.learns_from_pruned and trial.outcome != "complete":
            return TrialState.PRUNED, None, self._end_of_curve(trial)
        values = self._values(trial)
        if values is None:
            return TrialState.FAIL, None, {}
        if trial.outcome in ("complete", "pruned"):
            self._worst = values if self._worst is None else self._worse(values)
        return TrialState.COMPLETE, values, {}

    def _values(self, trial: Trial | Lesson) -> _Values | None:
        """Return the values of a trial as if it were complete.

        A missing value counts as the worst so far; None if there is none yet.
        """
        if trial.values and all(map(math.isfinite, trial.values)):
            return trial.values
        mean = _last_mean(trial)
        if mean is None:
            return self._worst
        if isinstance(trial, Trial) and trial.n_waiting:
            mean += self._gains.mean(len(trial.fold_scores))
        if len(self._directions) == 1:
            return (mean,)
        return (mean, *self._worst[1:]) if self._worst is not None else None

    def _end_of_curve(self, trial: Trial | Lesson) -> dict[int, float]:
        """Return the last point of a pruned trial's curve; empty with several objectives.

        TPE cannot read it with several objectives.
        """
        mean = _last_mean(trial)
        if mean is None or len(self._directions) > 1:
            return {}
        return {trial.n_evaluations - 1: mean}

    def _violations(self, trial: Trial | Lesson) -> dict[str, float]:
        """Return by how much a trial breaks each limit, memory included, by Optuna's names."""
        if not self._kind.weighs_violations:
            return {}
        of_memory = self._kind.learns_from_pruned and says_out_of_memory(trial.reason)
        violations = _OF_MEMORY if of_memory else trial.violations
        return {f"{_CONSTRAINT}{name}": distance for name, distance in violations.items()}

    def _worse(self, values: _Values) -> _Values:
        assert self._worst is not None
        pairs = zip(self._worst, values, self._directions, strict=True)
        return tuple(min(a, b) if way == "maximize" else max(a, b) for a, b, way in pairs)

    # --- resuming

    def _restore(self, history: Sequence[Trial], segment: int) -> None:
        if self._kind.continues == "enumerated":
            tried = {_key(trial.params) for trial in history}
            self._points = [point for point in self._points if _key(point) not in tried]
        replays = self._kind.continues == "replayed" and self._study_file.search.order == "exact"
        rebuilt = history[:segment] if replays else history
        for trial in rebuilt:
            self._add(trial)
        if self._study_file.search.order == "free":
            self.show_finished(rebuilt)
            return
        if rebuilt:
            self.show(history, self.lag.n_shown(len(rebuilt) - 1))  # all that the last one saw
        for trial in history[len(rebuilt) :]:
            self.show(history, self.lag.n_shown(trial.number))
            again = self.ask(trial.number)
            if again is None or again.params != trial.params:
                raise ReplayError(
                    f"{self._study_file.search.sampler.name} suggests other values for "
                    f"trial {trial.number} than those stored, so the search cannot resume "
                    "exactly. Optuna, cmaes or scipy may have been updated. Install the versions "
                    "that `tunecli report` shows, or write search.order: free."
                )

    def _add(self, trial: Trial) -> None:
        """Add a trial to the in-memory study as running, if the current ranges hold its values."""
        if not self._holds(trial.params):
            return
        distributions = {name: to_distribution(self._ranges[name]) for name in trial.params}
        running: FrozenTrial = create_trial(
            state=TrialState.RUNNING, params=trial.params, distributions=distributions
        )
        study_id = self._storage.get_study_id_from_name(self._study_file.name)
        self._ids[trial.number] = self._storage.create_new_trial(study_id, running)

    def _holds(self, params: Point) -> bool:
        """Return whether the current ranges contain these values."""
        return all(
            name in self._ranges and contains(self._ranges[name], value)
            for name, value in params.items()
        )


def _last_mean(trial: Trial | Lesson) -> float | None:
    """Return the last mean of a pruned trial; None if there is none or it is not finite."""
    if trial.outcome != "pruned" or trial.value is None or not math.isfinite(trial.value):
        return None
    return trial.value


def _key(point: Point) -> tuple[tuple[str, str], ...]:
    """Return a key that equal points share, up to the rounding of steps."""
    return tuple(sorted((name, _text(value)) for name, value in point.items()))


def _text(value: Scalar) -> str:
    return f"{value:.9g}." if isinstance(value, float) else repr(value)


def _agrees(point: Point, fixed: Point) -> bool:
    """Return whether a point has the fixed values, up to the rounding of steps."""
    return all(name in point and _equal(point[name], value) for name, value in fixed.items())


def _equal(one: Scalar, other: Scalar) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9)
    return type(one) is type(other) and one == other


def _suggest(trial: optuna.Trial, name: str, range_: Range) -> Scalar:
    match range_:
        case FloatRange(low, high, log, step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntRange(low, high, log, step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case Categories(choices):
            chosen: Any = trial.suggest_categorical(name, choices)
            return chosen  # type: ignore[no-any-return]
