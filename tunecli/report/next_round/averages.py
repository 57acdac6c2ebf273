"""Keep what the metrics of a study of an earlier version mean in the next round's file."""

from __future__ import annotations

from typing import Any

from tunecli.database.records import StudyRecord
from tunecli.study_file.settings.metric_names import has_average, with_average
from tunecli.study_file.settings.settings import Component

_TWO = 2


def means_macro(study: StudyRecord) -> bool:
    """Return whether metrics of two classes are averages over both unless the file says so.

    So they were before there was a positive class; a new study would score that class alone.
    """
    summary = study.summary
    is_of_two = summary is not None and len(summary.classes) == _TWO and summary.positive is None
    return is_of_two and study.first_config is not None and study.first_config.train is None


def say_macro(data: dict[str, Any]) -> None:
    """Write `average: macro` for each metric without an average."""
    objective = data.get("objective")
    goals = objective if isinstance(objective, list) else [objective]
    for goal in goals:
        if isinstance(goal, dict):
            goal.update({direction: _said(metric) for direction, metric in goal.items()})
    if isinstance(data.get("constraints"), dict):
        data["constraints"].update(
            {name: _said_next_to(limits, name) for name, limits in data["constraints"].items()}
        )
    if isinstance(data.get("metrics"), list):
        data["metrics"] = [_said(metric) for metric in data["metrics"]]


def _said(written: Any) -> Any:
    """Return a metric as a study file writes it: `f1`, or `{f1: {average: macro}}`."""
    name, arguments = next(iter(written.items())) if isinstance(written, dict) else (written, None)
    metric = Component(name=str(name), arguments=arguments or {})
    if not has_average(metric):
        return written
    said = with_average(metric, of_two=False)
    return {said.name: said.arguments}


def _said_next_to(limits: Any, name: str) -> Any:
    """Return the limits of a metric as a study file writes them: `{average: macro, min: 0.5}`."""
    said = _said({name: {}})[name]
    return said | limits if isinstance(limits, dict) else limits
