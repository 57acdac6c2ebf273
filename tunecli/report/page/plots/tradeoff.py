"""The first objective against each further one, with the Pareto front as a line."""

from __future__ import annotations

from tunecli.database.attributes import RecordedObjective
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.pareto import front
from tunecli.report.page.plots.plot import Plot, Trace, axis, line_trace
from tunecli.report.page.plots.scores import ScoreAxis, score_plot
from tunecli.report.phrases import wording
from tunecli.study_file.settings.units import base_unit
from tunecli.study_file.text.counts import count

_WIDE = 10
"""Ratio of largest to smallest cost from which on a linear axis would crowd the small ones."""


def tradeoffs(study: StudyRecord, scores: ScoreAxis) -> dict[str, Plot]:
    """Return one plot per further objective, by key; none with a single objective."""
    return {
        f"tradeoff:{index}": _tradeoff(study, scores, index, objective)
        for index, objective in enumerate(study.further_objectives, 1)
    }


def _tradeoff(
    study: StudyRecord, scores: ScoreAxis, index: int, objective: RecordedObjective
) -> Plot:
    measured = ((_measured(trial, index, objective), trial) for trial in study.trials)
    placed = [(value, trial) for value, trial in measured if value is not None]
    best = front(study).trials
    name, first = wording.plain(study.titled(objective.metric)), wording.plain(study.title)
    better = "lower" if objective.direction == "minimize" else "higher"
    x_axis = axis(
        f"{wording.shortened(study.titled(objective.metric), 40)} ({better} is better)",
        **cost_scale(objective.metric, [value for value, _ in placed]),
    )
    return score_plot(
        f"{first} against {name}",
        _description(first, name, objective, best, index),
        _front_line(best, index),
        placed,
        scores,
        x_axis,
        "The line joins the Pareto front: trials that no other beats in every objective.",
    )


def cost_scale(metric: str, values: list[float]) -> dict[str, object]:
    """Return an axis' changes: the unit of a cost, and a log scale if costs differ much."""
    written: dict[str, object] = {"exponentformat": "SI", "ticksuffix": base_unit(metric)}
    if values and min(values) > 0 and max(values) > _WIDE * min(values):
        written["type"] = "log"
    return written


def _measured(trial: TrialRecord, index: int, objective: RecordedObjective) -> float | None:
    """Return an objective's value, also of an infeasible trial, which is measured too."""
    return trial.values[index] if trial.values[index:] else trial.metrics.get(objective.metric)


def _front_line(best: tuple[TrialRecord, ...], index: int) -> Trace:
    ordered = sorted(best, key=lambda trial: (trial.values[index], trial.values[0]))
    return line_trace(
        [trial.values[index] for trial in ordered],
        [trial.values[0] for trial in ordered],
        name="Pareto front",
        line={"color": "@ink", "width": 2},
    )


def _description(
    first: str, name: str, objective: RecordedObjective, best: tuple[TrialRecord, ...], index: int
) -> str:
    if not best:
        return "No trial is complete yet."
    costs = [wording.metric_text(objective.metric, trial.values[index]) for trial in best]
    ends = [f"{wording.score(best[end].values[0])} at {costs[end]}" for end in (0, -1)]
    return (
        f"{count(len(best), 'trial')} on the Pareto front, from {first} {ends[0]} to "
        f"{ends[1]} ({name})."
    )
