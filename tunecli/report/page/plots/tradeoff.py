"""The first objective against each further one, with the Pareto front as a line."""

from __future__ import annotations

import math

from tunecli.database.attributes import RecordedObjective
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.pareto import front
from tunecli.report.page.plots.plot import Plot, Trace, axis, line_trace
from tunecli.report.page.plots.scores import ScoreAxis, score_plot
from tunecli.report.phrases import foreign_text, wording
from tunecli.study_file.settings.settings import Direction
from tunecli.study_file.settings.units import base_unit, with_unit
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.objectives import dominates

_WIDE = 10
"""Ratio of largest to smallest cost from which on a linear axis would crowd the small ones."""
_N_TICKS = 8
_DIGITS = 6
_MOST_POWERS = 4
"""Most powers of ten with room for ticks between them on a logarithmic axis."""
_LARGE = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))


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
    name, first = (
        foreign_text.plain(study.titled(objective.metric)),
        foreign_text.plain(study.title),
    )
    better = "lower" if objective.direction == "minimize" else "higher"
    x_axis = axis(
        f"{foreign_text.shortened(study.titled(objective.metric), 40)} ({better} is better)",
        **cost_scale(objective.metric, [value for value, _ in placed]),
    )
    return score_plot(
        f"{first} against {name}",
        _description(first, name, objective, best, index),
        _front_line(best, index, (study.direction, objective.direction)),
        placed,
        scores,
        x_axis,
        "The steps are the Pareto front of these two objectives: no complete trial lies beyond.",
    )


def cost_scale(metric: str, values: list[float]) -> dict[str, object]:
    """Return an axis' changes: ticks with their unit, and a log scale if costs differ much."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return {}
    low, high = min(finite), max(finite)
    is_log = low > 0 and high > _WIDE * low
    ticks = _log_ticks(low, high) if is_log else _ticks(low, high)
    written = {"tickvals": ticks, "ticktext": [_tick_text(metric, tick) for tick in ticks]}
    return written | ({"type": "log"} if is_log else {})


def _tick_text(metric: str, value: float) -> str:
    """Return a tick with its unit; large counts in thousands and millions: `20 kB`, `5M`."""
    if base_unit(metric) or abs(value) < 1000:
        return with_unit(metric, value, _DIGITS)
    letter, factor = next(one for one in _LARGE if abs(value) >= one[1])
    return f"{value / factor:g}{letter}"


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times each power of ten around a range; powers alone if it is wide."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(powers) <= _MOST_POWERS else (1,)
    return [float(f"{step}e{power}") for power in powers for step in steps]


def _ticks(low: float, high: float) -> list[float]:
    """Return at most nine or so round numbers around a range, the same distance apart."""
    span = (high - low) or abs(high) or 1.0
    power = float(f"1e{math.floor(math.log10(span / _N_TICKS))}")
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= span / _N_TICKS)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)]


def _measured(trial: TrialRecord, index: int, objective: RecordedObjective) -> float | None:
    """Return an objective's value, also of an infeasible trial, which is measured too."""
    return trial.values[index] if trial.values[index:] else trial.metrics.get(objective.metric)


def _front_line(
    best: tuple[TrialRecord, ...], index: int, ways: tuple[Direction, Direction]
) -> Trace:
    """Return the front of two objectives as a staircase: the best score within each cost.

    Between two trials of the front, the cheaper one is the best that a cost allows.
    """
    points = {(trial.values[0], trial.values[index]) for trial in best}
    front_of_two = [one for one in points if not any(dominates(p, one, ways) for p in points)]
    ordered = sorted(front_of_two, key=lambda point: (point[1], point[0]))
    return line_trace(
        [cost for _, cost in ordered],
        [score for score, _ in ordered],
        name="Pareto front",
        line={"color": "@ink", "width": 2, "shape": "hv" if ways[1] == "minimize" else "vh"},
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
