"""What a trial that has ended is judged by: the values of its objectives, and its limits.

Pure functions of a configuration and of what was measured, so that the worker that ends a trial,
the driver that records it and a search that goes on later judge alike. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunecli.study_file.metrics import label
from tunecli.study_file.settings import Constraint, Direction, TrialConfig


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
    a limit of 0 it is 1. What was not measured is left out.
    """
    known = dict(metrics)
    if value is not None:
        known[label(config.objective.metric)] = value
    return {
        label(constraint.metric): _beyond(constraint, known[label(constraint.metric)])
        for constraint in config.constraints
        if label(constraint.metric) in known
    }


def _beyond(constraint: Constraint, measured: float) -> float:
    distances = []
    if constraint.max is not None:
        distances.append((measured - constraint.max) / (abs(constraint.max) or 1.0))
    if constraint.min is not None:
        distances.append((constraint.min - measured) / (abs(constraint.min) or 1.0))
    return max(distances)
