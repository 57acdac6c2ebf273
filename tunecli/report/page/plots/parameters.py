"""One panel per parameter: the score against its value, with bounds and the good region."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.page.plots.marks import outcome_points
from tunecli.report.page.plots.plot import Plot, Trace, axis, plot_layout, text
from tunecli.report.page.plots.range_axes import Scale, parameter_scale, shortest_labels
from tunecli.report.page.plots.scores import ScoreAxis
from tunecli.report.phrases import wording
from tunecli.report.screen.trial_tables import range_text
from tunecli.study_file.text.counts import count

_GOLDEN = 0.618034  # multiples of it spread evenly, whatever their number
_JITTER = 0.5  # share of the distance to the next category or whole number


def panels(evidence: Evidence, scores: ScoreAxis) -> dict[str, Plot]:
    """Return the panels by the name of the parameter, in the order of the study file."""
    good = {trial.trial_id for trial in evidence.good}
    return {
        name: parameter_panel(
            evidence, scores, name, parameter_scale(name, kind, evidence.study.gates), good
        )
        for name, kind in evidence.ranges.items()
    }


def parameter_panel(
    evidence: Evidence, scores: ScoreAxis, name: str, scale: Scale, good: set[int]
) -> Plot:
    """Return the panel of one parameter.

    Args:
        good: `trial_id` of the good trials.
    """
    placed = _placed(evidence.study.trials, name, scale)
    region = _region(scale, [x for x, trial in placed if trial.trial_id in good])
    best = evidence.ranked[0] if evidence.ranked else None
    winner = [(x, trial) for x, trial in placed if trial is best]
    traces = outcome_points(placed, scores)
    traces += _medians(scale, placed, scores) if scale.is_choice else []
    traces += _ring(winner, scores)
    shapes = [*scores.strip_line(), *_region_shape(region), *_bounds(scale)]
    return Plot(
        name,
        _description(evidence, name, scale, placed, region),
        traces,
        plot_layout(
            xaxis=_x_axis(scale, [x for x, _ in placed]),
            yaxis=scores.layout(title=scores.name),
            shapes=shapes,
            margin={"l": 60, "r": 14, "t": 8, "b": 26},
        ),
        note=_note(scale),
        height=260,
    )


def _placed(
    trials: Sequence[TrialRecord], name: str, scale: Scale
) -> list[tuple[float, TrialRecord]]:
    """Return (position, trial) for each trial that has the parameter; categories are spread."""
    placed = []
    for trial in trials:
        x = scale.place(trial.params[name]) if name in trial.params else None
        if x is None:
            continue
        x += (trial.number * _GOLDEN % 1 - 0.5) * _JITTER * scale.gap
        placed.append((round(x, 5), trial))
    return placed


def _note(scale: Scale) -> str:
    return ", ".join(scale.labels) if scale.is_choice else range_text(scale.range)


def _x_axis(scale: Scale, positions: Sequence[float]) -> dict[str, Any]:
    """Return an axis of positions whose ticks are values as the study file writes them."""
    low, high = min(positions, default=0.0), max(positions, default=1.0)
    n = max(len(scale.labels), 1)
    labels = shortest_labels(scale.labels, max(6, 36 // n))
    return axis(
        range=[min(low, 0.0) - 0.04, max(high, 1.0) + 0.04],
        tickvals=list(scale.positions),
        ticktext=[text(label) for label in labels],
        showgrid=not scale.is_choice,
        tickangle=0 if sum(map(len, labels)) <= 48 else -30,
    )


def _region(scale: Scale, positions: Sequence[float]) -> tuple[float, float] | None:
    """Return the range of positions of the good trials; None for a choice."""
    if scale.is_choice or len(positions) < 2:
        return None
    return min(positions), max(positions)


def _region_shape(region: tuple[float, float] | None) -> list[dict[str, Any]]:
    if region is None:
        return []
    return [
        {
            "type": "rect",
            "yref": "paper",
            "x0": region[0],
            "x1": region[1],
            "y0": 0,
            "y1": 1,
            "fillcolor": "@good",
            "line": {"width": 0},
            "layer": "below",
        }
    ]


def _bounds(scale: Scale) -> list[dict[str, Any]]:
    if scale.is_choice:
        return []
    return [
        {
            "type": "line",
            "yref": "paper",
            "x0": end,
            "x1": end,
            "y0": 0,
            "y1": 1,
            "line": {"color": "@soft", "width": 1.5, "dash": "dash"},
            "layer": "between",
        }
        for end in (0, 1)
    ]


def _medians(
    scale: Scale, placed: Sequence[tuple[float, TrialRecord]], scores: ScoreAxis
) -> list[Trace]:
    """Return a short line at the median of the complete trials of each category."""
    width = 0.35 / max(len(scale.labels), 1)
    x: list[float | None] = []
    y: list[float | None] = []
    for centre in scale.positions:
        values = [
            value
            for position, trial in placed
            if abs(position - centre) <= width and trial.outcome == "complete"
            if (value := scores.values.get(trial.trial_id)) is not None
        ]
        if values:
            middle = statistics.median(values)
            x += [centre - width, centre + width, None]
            y += [middle, middle, None]
    line = {"color": "@ink", "width": 2}
    lines = {"type": "scatter", "mode": "lines", "name": "median", "hoverinfo": "skip"}
    return [{**lines, "x": x, "y": y, "line": line}] if x else []


def _ring(winner: Sequence[tuple[float, TrialRecord]], scores: ScoreAxis) -> list[Trace]:
    """Return a ring around the best trial."""
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "best",
            "x": [x],
            "y": [scores.place(trial)],
            "customdata": [trial.number],
            "hoverinfo": "text",
            "marker": {"symbol": "circle-open", "size": 15, "color": "@ink", "line": {"width": 2}},
        }
        for x, trial in winner
    ]


def _description(
    evidence: Evidence,
    name: str,
    scale: Scale,
    placed: Sequence[tuple[float, TrialRecord]],
    region: tuple[float, float] | None,
) -> str:
    label = wording.plain(name)
    text = f"Score against {label}, {count(len(placed), 'trial')}."
    best = evidence.ranked[0] if evidence.ranked else None
    if best is not None and name in best.params:
        value = wording.assignments({name: best.params[name]}, evidence.study.gates)
        text += f" The best trial has {' '.join(value)}."
    if region is not None:
        values = [trial.params[name] for trial in evidence.good if name in trial.params]
        numbers = [value for value in values if isinstance(value, (int, float))]
        low, high = wording.scalar(min(numbers)), wording.scalar(max(numbers))
        text += f" The good trials lie between {low} and {high}."
    return text
