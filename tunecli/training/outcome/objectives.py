"""Judge a trial that has ended: the values of its objectives, and its limits.

These are pure functions of a configuration and its measurements, so that the worker that ends a
trial, the driver that records it and a resumed search judge alike. Does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tunecli.study_file.settings.metric_names import label
from tunecli.study_file.settings.settings import Constraint, Direction, TrialConfig
from tunecli.study_file.settings.units import NOT_DEFINED, with_unit


def objective_values(
    config: TrialConfig, value: float, metrics: Mapping[str, float]
) -> tuple[float, ...]:
    """Return the value of each objective, in their order.

    Args:
        value: value of the first objective.
        metrics: all other measurements, by label.
    """
    further = (metrics[label(objective.metric)] for objective in config.further_objectives)
    return (value, *further)


def dominates(
    one: Sequence[float], other: Sequence[float], directions: Sequence[Direction]
) -> bool:
    """Return whether `one` is nowhere worse and somewhere better; with one objective, better."""
    pairs = list(zip(one, other, directions, strict=True))
    return all(a == b or _is_better(a, b, way) for a, b, way in pairs) and any(
        _is_better(a, b, way) for a, b, way in pairs
    )


def _is_better(one: float, other: float, direction: Direction) -> bool:
    return one > other if direction == "maximize" else one < other


def violations(
    config: TrialConfig, value: float | None, metrics: Mapping[str, float]
) -> dict[str, float]:
    """Return how far a trial exceeds each of its limits, by the limit's label.

    A positive number is a violation. It is relative to the limit, so that bytes and shares can be
    compared; for a limit of 0 it is absolute. A value that is not defined counts as 1. Limits
    without a measurement are omitted.
    """
    known = dict(metrics)
    if value is not None:
        known[label(config.objective.metric)] = value
    return {
        label(constraint.metric): _beyond(constraint, known[label(constraint.metric)])
        for constraint in config.constraints
        if label(constraint.metric) in known
    }


def broken_limits(
    config: TrialConfig, value: float | None, metrics: Mapping[str, float]
) -> list[str]:
    """Describe each violated limit of a trial, with the value and the limit."""
    beyond = violations(config, value, metrics)
    known = {label(config.objective.metric): value, **metrics}
    return [
        _in_words(constraint, known[label(constraint.metric)] or 0.0)
        for constraint in config.constraints
        if beyond.get(label(constraint.metric), 0.0) > 0
    ]


def _in_words(constraint: Constraint, measured: float) -> str:
    name = constraint.metric.name
    if not math.isfinite(measured):
        return f"{label(constraint.metric)} is {NOT_DEFINED}, so it violates its limit"
    is_above = constraint.max is not None and measured > constraint.max
    limit = constraint.max if is_above else constraint.min
    assert limit is not None, "min or max is violated"
    side = "above" if is_above else "below"
    return (
        f"{label(constraint.metric)} of {with_unit(name, measured)} is {side} "
        f"{with_unit(name, limit)}"
    )


def _beyond(constraint: Constraint, measured: float) -> float:
    if not math.isfinite(measured):
        return 1.0
    distances = []
    if constraint.max is not None:
        distances.append((measured - constraint.max) / (abs(constraint.max) or 1.0))
    if constraint.min is not None:
        distances.append((constraint.min - measured) / (abs(constraint.min) or 1.0))
    return max(distances)
