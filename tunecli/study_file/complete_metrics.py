"""Complete the metrics of a study with what depends on the data: the objective, and averages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tunecli.study_file.read import defaults
from tunecli.study_file.settings.metric_names import label, with_average
from tunecli.study_file.settings.settings import Component, Constraint, Objective, Task
from tunecli.study_file.space.tree import trains_itself
from tunecli.study_file.text.document import Path

if TYPE_CHECKING:
    from tunecli.study_file.study_file import StudyFile

Measured = TypeVar("Measured", Objective, Constraint)


def complete_metrics(study: StudyFile, task: Task, *, of_two: bool) -> dict[str, Any]:
    """Return the fields of a study with its metrics, each of which says its average.

    The user's own training gives its own meaning to the names of metrics.

    Args:
        of_two: whether `binary` is the default average, not `macro`.
    """
    own = trains_itself(study.tree)
    said: Callable[[Component], Component]
    said = _unchanged if own else partial(with_average, of_two=of_two)
    objectives = study.objectives or (defaults.objective(task),)
    optimized = [label(said(one.metric)) for one in objectives]
    metrics = map(said, study.metrics)
    return {
        "objectives": tuple(_measuring(one, said(one.metric)) for one in objectives),
        "constraints": tuple(_measuring(one, said(one.metric)) for one in study.constraints),
        "metrics": tuple(metric for metric in metrics if label(metric) not in optimized),
        "named_metrics": tuple((at, said(metric)) for at, metric in study.named_metrics),
    }


def _unchanged(metric: Component) -> Component:
    return metric


def _measuring(one: Measured, metric: Component) -> Measured:
    return one.model_copy(update={"metric": metric})


def named_twice(named: Iterable[tuple[Path, Component]]) -> Iterator[tuple[Path, str]]:
    """Yield the metrics that are equal to one before them in their section."""
    seen: set[tuple[Any, str]] = set()
    for at, metric in named:
        key = at[0], label(metric)
        if key in seen:
            yield at, f"{metric.name} occurs twice. Remove one of them."
        seen.add(key)
