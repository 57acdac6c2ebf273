"""Parallel coordinates of the complete trials, drawn as lines of an ordinary plot.

Plotly's own need WebGL, which not every machine has, and leave out a trial that lacks a parameter.
Here a line goes through `–` where its branch has no such parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunecli.report import wording
from tunecli.report.findings.evidence import Evidence
from tunecli.report.page.plots.plot import Plot, Trace, axis, layout, text
from tunecli.report.page.plots.ranges import Scale, scale_of, shortest
from tunecli.report.page.plots.scores import ScoreAxis
from tunecli.report.records import TrialRecord
from tunecli.study_file.counts import count

_MOST_AXES = 12
_ABSENT = -0.14  # where a line goes that has no such parameter
_PIXELS = 80  # between two axes


def parallel(evidence: Evidence, scores: ScoreAxis, importances: Mapping[str, float]) -> Plot:
    """The best tenth, the better half and the rest, each line a trial.

    Args:
        importances: of many parameters the most important are shown, largest first.
    """
    shown = _chosen(evidence, importances)
    scales = {name: scale_of(name, evidence.ranges[name], evidence.study.gates) for name in shown}
    n_left_out = len(evidence.ranges) - len(shown)
    short = wording.short_names(evidence.ranges)
    titles = [*(short[name] for name in shown), wording.shortened(evidence.study.metric, 18)]
    note = "Strong: the best tenth, at least five. Then the better half, then the rest."
    if any(name not in trial.params for name in shown for trial in evidence.ranked):
        note += " A line passes – where a trial has no such parameter."
    if n_left_out:
        note += f" The {len(shown)} most important of {len(evidence.ranges)} parameters."
    return Plot(
        "Parallel coordinates",
        f"One line a complete trial through {count(len(shown), 'parameter')} and the "
        "score; the table of trials has the same numbers.",
        _lines(evidence, scales, scores),
        layout(
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
    """The most important parameters that vary, in the order of the study file."""
    order = sorted(evidence.ranges, key=lambda name: -importances.get(name, 0.0))
    kept = set(order[:_MOST_AXES])
    return [name for name in evidence.ranges if name in kept]


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
    """All lines of a group are one trace with gaps: a thousand traces would be slow."""
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for trial in reversed(trials):  # the best on top
        places = [_place(trial, name, scale) for name, scale in scales.items()]
        score = (scores.values[trial.trial_id] - scores.low) / (scores.high - scores.low)
        x += [*range(len(places) + 1), None]
        y += [*places, round(min(max(score, 0.0), 1.0), 4), None]
        numbers += [trial.number] * (len(places) + 1) + [None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "customdata": numbers,
        "hoverinfo": "text",
    }


def _place(trial: TrialRecord, name: str, scale: Scale) -> float:
    """A category's lines are spread a little, so that one sees how many there are."""
    found = scale.place(trial.params[name]) if name in trial.params else None
    if found is None:
        return round(_ABSENT + (trial.number * 0.618034 % 1 - 0.5) * 0.04, 4)
    found += (trial.number * 0.618034 % 1 - 0.5) * 0.4 * scale.gap
    return round(min(max(found, 0.0), 1.0), 4)


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
    """Ticks of every axis, and a dash for what has no value there."""
    found = []
    for i, (name, scale) in enumerate(scales.items()):
        labels = shortest(scale.labels, 12)
        found += [_label(i, y, label) for y, label in zip(scale.positions, labels, strict=True)]
        if any(name not in trial.params for trial in evidence.ranked):
            found.append(_label(i, _ABSENT, "–"))
    ends = ((0.0, scores.low), (0.5, (scores.low + scores.high) / 2), (1.0, scores.high))
    return found + [_label(len(scales), y, wording.score(value)) for y, value in ends]


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
