"""What a trial that has ended is judged by: the values of its objectives, and its limits.

Pure functions of a configuration and of what was measured, so that the worker that ends a trial,
the driver that records it and a search that goes on later judge alike. Imports no torch.
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
    """One number an objective, in their order.

    Args:
        value: of the first objective.
        metrics: all else that was measured, by label.
    """
    further = (metrics[label(objective.metric)] for objective in config.further_objectives)
    return (value, *further)


def dominates(
    one: Sequence[float], other: Sequence[float], directions: Sequence[Direction]
) -> bool:
    """Whether `one` is nowhere worse and somewhere better; with one objective, better."""
    pairs = list(zip(one, other, directions, strict=True))
    return all(a == b or _is_better(a, b, way) for a, b, way in pairs) and any(
        _is_better(a, b, way) for a, b, way in pairs
    )


def _is_better(one: float, other: float, direction: Direction) -> bool:
    return one > other if direction == "maximize" else one < other


def violations(
    config: TrialConfig, value: float | None, metrics: Mapping[str, float]
) -> dict[str, float]:
    """How far a trial lies beyond each of its limits, by the limit's label.

    Above 0 is violated. The unit is the limit itself, so that bytes and shares can be compared; of
    a limit of 0 it is 1, as it is of what is not defined, which keeps to no limit. What was not
    measured is left out.
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
    """Of each limit that a trial does not keep to, a few words with both numbers."""
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
        return f"{label(constraint.metric)} is {NOT_DEFINED}, so it keeps to no limit"
    is_above = constraint.max is not None and measured > constraint.max
    limit = constraint.max if is_above else constraint.min
    assert limit is not None, "one of the two is broken"
    side = "above" if is_above else "below"
    found, allowed = with_unit(name, measured), with_unit(name, limit)
    return f"{label(constraint.metric)} of {found} is {side} {allowed}"


def _beyond(constraint: Constraint, measured: float) -> float:
    if not math.isfinite(measured):
        return 1.0
    distances = []
    if constraint.max is not None:
        distances.append((measured - constraint.max) / (abs(constraint.max) or 1.0))
    if constraint.min is not None:
        distances.append((constraint.min - measured) / (abs(constraint.min) or 1.0))
    return max(distances)
