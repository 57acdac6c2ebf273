"""Parallel coordinates of the complete trials, drawn as lines of an ordinary plot.

Plotly's own need WebGL, which not every machine has, and leave out a trial that lacks a parameter.
Here a line passes through `–` where its branch lacks the parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.page.plots.plot import Plot, Trace, axis, plot_layout, text
from tunecli.report.page.plots.range_axes import Scale, parameter_scale, shortest_labels
from tunecli.report.page.plots.scores import ScoreAxis
from tunecli.report.phrases import wording
from tunecli.study_file.text.counts import count

_MOST_AXES = 12
_ABSENT = -0.14  # position of a line that lacks the parameter
_PIXELS = 80  # between two axes


def parallel(evidence: Evidence, scores: ScoreAxis, importances: Mapping[str, float]) -> Plot:
    """Return the best tenth, the better half and the rest of the trials, one line per trial.

    Args:
        importances: shares by parameter; only the most important of many are shown.
    """
    names = _chosen(evidence, importances)
    scales = {
        name: parameter_scale(name, evidence.ranges[name], evidence.study.gates) for name in names
    }
    n_left_out = len(evidence.ranges) - len(names)
    short = wording.short_names(evidence.ranges)
    titles = [*(short[name] for name in names), wording.shortened(evidence.study.metric, 18)]
    note = (
        "Strong lines: the best tenth, at least five trials. Medium: the better half. "
        "Pale: the rest."
    )
    if any(name not in trial.params for name in names for trial in evidence.ranked):
        note += " A line passes through – where a trial lacks the parameter."
    if n_left_out:
        note += f" Shown: the {len(names)} most important of {len(evidence.ranges)} parameters."
    return Plot(
        "Parallel coordinates",
        f"One line per complete trial through {count(len(names), 'parameter')} and the "
        "score; the table of trials has the same numbers.",
        _lines(evidence, scales, scores),
        plot_layout(
            xaxis=axis(
                tickvals=list(range(len(titles))),
                ticktext=[text(wording.shortened(title, 18)) for title in titles],
                tickangle=-25 if len(titles) > 6 else 0,
                range=[-0.25, len(titles) - 0.75],
                side="top",
                showgrid=False,
                showline=False,
                tickfont={"color": "@ink", "size": 12},
            ),
            yaxis=axis(range=[_ABSENT - 0.08, 1.06], visible=False),
            shapes=[_axis_line(i) for i in range(len(titles))],
            annotations=_labels(evidence, scales, scores),
            margin={"l": 16, "r": 56, "t": 64, "b": 8},
        ),
        note=note,
        height=420,
        least_width=_PIXELS * (len(titles) + 1),
        wide=True,
    )


def _chosen(evidence: Evidence, importances: Mapping[str, float]) -> list[str]:
    """Return the most important parameters, in the order of the study file."""
    order = sorted(evidence.ranges, key=lambda name: -importances.get(name, 0.0))
    most_important = set(order[:_MOST_AXES])
    return [name for name in evidence.ranges if name in most_important]


def _lines(evidence: Evidence, scales: Mapping[str, Scale], scores: ScoreAxis) -> list[Trace]:
    trials = evidence.ranked
    n_good, half = len(evidence.good), len(trials) // 2
    groups = (
        ("the rest", trials[max(half, n_good) :], "@pale", 1),
        ("better half", trials[n_good : max(half, n_good)], "@middle", 1),
        ("best tenth", trials[:n_good], "@complete", 2),
    )
    return [
        _group(name, members, scales, scores) | {"line": {"color": color, "width": width}}
        for name, members, color, width in groups
        if members
    ]


def _group(
    name: str, trials: Sequence[TrialRecord], scales: Mapping[str, Scale], scores: ScoreAxis
) -> Trace:
    """Return all lines of a group as one trace with gaps: a thousand traces would be slow."""
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for trial in reversed(trials):  # the best on top
        positions = [_position(trial, name, scale) for name, scale in scales.items()]
        score = (scores.values[trial.trial_id] - scores.low) / (scores.high - scores.low)
        x += [*range(len(positions) + 1), None]
        y += [*positions, round(min(max(score, 0.0), 1.0), 4), None]
        numbers += [trial.number] * (len(positions) + 1) + [None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "customdata": numbers,
        "hoverinfo": "text",
    }


def _position(trial: TrialRecord, name: str, scale: Scale) -> float:
    """Return where a trial's line crosses an axis; lines of one category are spread a little."""
    position = scale.place(trial.params[name]) if name in trial.params else None
    if position is None:
        return round(_ABSENT + (trial.number * 0.618034 % 1 - 0.5) * 0.04, 4)
    position += (trial.number * 0.618034 % 1 - 0.5) * 0.4 * scale.gap
    return round(min(max(position, 0.0), 1.0), 4)


def _axis_line(position: int) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": position,
        "x1": position,
        "y0": 0,
        "y1": 1,
        "line": {"color": "@soft", "width": 1},
    }


def _labels(
    evidence: Evidence, scales: Mapping[str, Scale], scores: ScoreAxis
) -> list[dict[str, Any]]:
    """Return the ticks of every axis, and a dash for trials without a value there."""
    ticks = []
    for i, (name, scale) in enumerate(scales.items()):
        labels = shortest_labels(scale.labels, 12)
        ticks += [_label(i, y, label) for y, label in zip(scale.positions, labels, strict=True)]
        if any(name not in trial.params for trial in evidence.ranked):
            ticks.append(_label(i, _ABSENT, "–"))
    ends = ((0.0, scores.low), (0.5, (scores.low + scores.high) / 2), (1.0, scores.high))
    return ticks + [_label(len(scales), y, wording.score(value)) for y, value in ends]


def _label(x: float, y: float, label: str) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "text": text(label),
        "showarrow": False,
        "xanchor": "left",
        "xshift": 4,
        "bgcolor": "@veil",
        "borderpad": 1,
        "font": {"size": 11, "color": "@soft"},
    }
