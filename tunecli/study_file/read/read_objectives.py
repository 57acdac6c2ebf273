"""Read the sections `objective`, `constraints` and `metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunecli.study_file.read.read_components import Grammar
from tunecli.study_file.read.read_fixed import RANGE, FixedReader
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.metric_names import COSTS, METRICS, written_label
from tunecli.study_file.settings.objective_settings import MetricLimits, ObjectiveSettings
from tunecli.study_file.settings.settings import (
    Component,
    Constraint,
    Direction,
    Objective,
)
from tunecli.study_file.settings.switching_off import is_none
from tunecli.study_file.settings.units import in_base_unit
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.dump import inline
from tunecli.study_file.text.suggestions import did_you_mean

_DIRECTIONS: tuple[Direction, ...] = ("minimize", "maximize")


class ObjectiveReader(FixedReader):
    """A reader of these sections and of parts without ranges, which reports their mistakes.

    Attributes:
        named: every metric that was read, with its place.
        tolerance: `objective.tolerance`; None if it is not given.
    """

    def __init__(self, grammar: Grammar, *, has_own_training: bool) -> None:
        super().__init__(grammar, has_own_training=has_own_training)
        self.named: list[tuple[Path, Component]] = []
        self.tolerance: float | None = None

    def _metric(self, written: Any, at: Path) -> Component | None:
        metric = self.component(written, at, "metric", optional=False)
        self.named += [(at, metric)] if metric is not None else []
        return metric

    def objectives(self, data: Any) -> tuple[Objective, ...]:
        at: Path = ("objective",)
        if is_none(data):
            return ()
        if data == []:
            message = "the list is empty. Write {maximize: accuracy}, or leave objective out."
            self.problems.add(at, message)
            return ()
        written = {at: data}
        if isinstance(data, list):
            written = {(*at, index): one for index, one in enumerate(data)}
        read = {below: self._read_objective(one, below) for below, one in written.items()}
        self._refuse_settings_of_several(written)
        by_label: dict[str, Objective] = {}
        for below, objective in read.items():
            if objective is None:
                continue
            if written_label(objective.metric) in by_label:
                message = f"{objective.metric.name} occurs twice. Remove one of them."
                self.problems.add_new(below, message)
            by_label[written_label(objective.metric)] = objective
        below, first = next(iter(read.items()))
        if first and self._is_cost_alone(first, (*below, first.direction)):
            return ()
        return tuple(by_label.values())

    def _is_cost_alone(self, first: Objective, at: Path) -> bool:
        """Report a first objective without a curve, which could not judge a trial in training."""
        if first.metric.name not in COSTS or self.has_own_training:
            return False
        message = (
            f"{first.metric.name} does not measure predictions, so it cannot be the first "
            f"objective. Put a score first: [{{maximize: accuracy}}, {{{first.direction}: "
            f"{first.metric.name}}}]."
        )
        self.problems.add_new(at, message)
        return True

    def _read_objective(self, data: Any, at: Path) -> Objective | None:
        goals = _goals(data) if isinstance(data, dict) else []
        if len(goals) != 1:
            example = "{maximize: accuracy} or {minimize: rmse}"
            self.problems.add(at, f"must be {example}, but got {inline(data)}.")
            return None
        direction, metric = goals[0], data[goals[0]]
        self._read_settings({key: data[key] for key in data if key != direction}, at)
        at = (*at, direction)
        if direction not in _DIRECTIONS:
            hint = did_you_mean(direction, _DIRECTIONS) or " Write one of them."
            message = f"must be `minimize` or `maximize`, but got {inline(direction)}.{hint}"
            self.problems.add(at, message, of_key=True)
            self._metric(metric, at)
            return None
        component = self._metric(metric, at)
        if component is None:
            return None
        self._refuse_wide_tolerance(component, at[:-1])
        return self._objective(direction, component, at)

    def _refuse_wide_tolerance(self, metric: Component, at: Path) -> None:
        """Report a tolerance within which all scores lie."""
        info = METRICS.get(metric.name)
        if info is None or self.tolerance is None:
            return
        width = info.highest - info.lowest
        if self.tolerance >= width:
            message = (
                f"must be below {width:g}, since {metric.name} is from {info.lowest:g} to "
                f"{info.highest:g}, but got {self.tolerance:g}."
            )
            self.problems.add((*at, "tolerance"), message)

    def _read_settings(self, data: dict[str, Any], at: Path) -> None:
        read = self.settings(ObjectiveSettings, self.without_ranges(data, at), at)
        self.tolerance = read.tolerance if read is not None else None

    def _refuse_settings_of_several(self, written: dict[Path, Any]) -> None:
        """Report settings that compare trials with the best one, where no trial is the best."""
        for below, one in written.items() if len(written) > 1 else ():
            for key in ObjectiveSettings.model_fields:
                if isinstance(one, dict) and key in one:
                    message = "has no effect with several objectives: no trial is the best. "
                    self.problems.add_new((*below, key), f"{message}Remove it.")

    def _objective(self, direction: Direction, metric: Component, at: Path) -> Objective | None:
        better = METRICS[metric.name].direction if metric.name in METRICS else direction
        if direction != better:
            sense = "higher" if better == "maximize" else "lower"
            message = f"{metric.name} is better when {sense}. Write {better}: {metric.name}."
            self.problems.add(at, message, of_key=True)
            return None
        return Objective(direction=direction, metric=metric)

    def constraints(self, data: Any) -> tuple[Constraint, ...]:
        if is_none(data):
            return ()
        if not isinstance(data, dict):
            example = "{n_weights: {max: 100000}, size: {max: 200KB}}"
            message = f"must map metrics to limits, as in {example}, but got {inline(data)}."
            self.problems.add(("constraints",), message)
            return ()
        read = [self._read_constraint(name, limits) for name, limits in data.items()]
        return tuple(one for one in read if one is not None)

    def _read_constraint(self, name: Any, written: Any) -> Constraint | None:
        """Read the limits of a metric, with its arguments next to them."""
        at: Path = ("constraints", name)
        arguments, limits = _divided(name, written)
        of_metric, place = ({name: arguments}, at[:-1]) if arguments else (name, at)
        metric = self.component(of_metric, place, "metric", optional=False)
        if is_none(limits):
            return None
        if not isinstance(limits, dict) or not limits:
            message = f"must have min, max or both, as in {{max: 5}}, but got {inline(written)}."
            self.problems.add_new(at, message)
            return None
        limits = self.without_ranges(limits, at)
        if limits is RANGE or metric is None:
            return None
        in_units = {key: in_base_unit(value, metric.name) for key, value in limits.items()}
        read = self.settings(MetricLimits, in_units, at, _argument_names(name))
        if read is None or (read.min is None and read.max is None):
            return None
        constraint = Constraint(metric=metric, **read.model_dump())
        if not self.has_own_training:  # which can report anything under any name
            self._check_reach(constraint, at)
        self.named.append((at, metric))
        if read.min is not None and read.max is not None and read.min > read.max:
            message = f"min must not be above max, but got {read.min:g} and {read.max:g}."
            self.problems.add_new((*at, "min"), message)
        return constraint

    def _check_reach(self, constraint: Constraint, at: Path) -> None:
        """Report a limit outside the range of its metric."""
        known = METRICS.get(constraint.metric.name)
        if known is None:
            return
        name, low, high = known.name, constraint.min, constraint.max
        if low is not None and low > known.highest:
            message = f"no trial can satisfy this: {name} is at most {known.highest:g}"
            self.problems.add_new((*at, "min"), f"{message}, but got {low:g}.")
        if high is not None and high < known.lowest:
            least = f"at least {known.lowest:g}" if known.lowest in (0, 1, -1) else "above 0"
            message = f"no trial can satisfy this: {name} is {least}, but got {high:g}."
            self.problems.add_new((*at, "max"), message)

    def metrics(self, data: Any, objectives: Sequence[Objective]) -> tuple[Component, ...]:
        if is_none(data):
            return ()
        if not isinstance(data, list):
            message = f"must be a list of metrics, such as [f1, log_loss], but got {inline(data)}."
            self.problems.add(("metrics",), message)
            return ()
        by_label: dict[str, Component] = {}
        for index, written in enumerate(data):
            at: Path = ("metrics", index)
            metric = self._metric(written, at)
            if metric is None:
                continue
            if written_label(metric) in by_label and not self.problems.any_below(at):
                self.problems.add(at, f"{metric.name} occurs twice. Remove one of them.")
            by_label[written_label(metric)] = metric
        for objective in objectives:
            by_label.pop(written_label(objective.metric), None)
        return tuple(by_label.values())


def _goals(data: dict[str, Any]) -> list[Any]:
    """Return the keys that are directions, or are meant to be."""
    directions = [key for key in data if key in _DIRECTIONS]
    return directions or [key for key in data if key not in ObjectiveSettings.model_fields]


def _divided(name: Any, written: Any) -> tuple[dict[str, Any], Any]:
    """Return the arguments of a limited metric, and its limits as written.

    Unknown keys count as limits, except those of the user's own metrics, which take any others.
    """
    if not isinstance(written, dict):
        return {}, written
    limits = set(MetricLimits.model_fields if is_code(name) else written) - {
        *_argument_names(name)
    }
    arguments = {key: value for key, value in written.items() if key not in limits}
    return arguments, {key: value for key, value in written.items() if key in limits}


def _argument_names(name: Any) -> tuple[str, ...]:
    """Return the names of the arguments of a metric that tunecli knows."""
    known = METRICS.get(name)
    return tuple(known.arguments) if known is not None else ()
