"""One panel per parameter: the score against its value, with bounds and the good region."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.positions import Numeric, position
from tunecli.report.page.plots.plot import (
    Plot,
    Trace,
    axis,
    dot_trace,
    line_trace,
    plot_layout,
    text,
    upright,
)
from tunecli.report.page.plots.scores import ScoreAxis, outcome_points
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.range_text import range_text
from tunecli.study_file.settings.ranges import Categories, IntRange, Range
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.scalars import Scalar

_GOLDEN = 0.618034  # multiples of it spread evenly, whatever their number
_JITTER = 0.5  # share of the distance to the next category or whole number
_MOST_TICKS = 6
_COARSE = 0.05  # share of the range from which on a step is visible
_REGION: dict[str, Any] = {
    "type": "rect",
    "fillcolor": "@good",
    "line": {"width": 0},
    "layer": "below",
}
_RING = {"symbol": "circle-open", "size": 15, "color": "@ink", "line": {"width": 2}}
_BOUND: dict[str, Any] = {
    "line": {"color": "@soft", "width": 1.5, "dash": "dash"},
    "layer": "between",
}


@dataclass(frozen=True)
class Scale:
    """Positions of a parameter's values from 0 (its lowest) to 1 (its highest).

    Attributes:
        labels: foreign text; one per category of a choice, or the ticks of numbers.
        positions: positions of the labels.
    """

    range: Range
    labels: tuple[str, ...]
    positions: tuple[float, ...]

    @property
    def is_choice(self) -> bool:
        """Whether its values have no order."""
        return isinstance(self.range, Categories)

    @property
    def gap(self) -> float:
        """Distance of two categories or whole numbers; 0 for continuous values."""
        kind = self.range
        if isinstance(kind, Categories):
            return 1 / len(kind.choices)
        is_coarse = not kind.log and kind.step is not None and kind.low < kind.high
        gap = kind.step / (kind.high - kind.low) if is_coarse and kind.step is not None else 0.0
        return gap / 2 if gap > _COARSE else 0.0

    def place(self, value: Scalar) -> float | None:
        """Return the position of a value, outside 0 to 1 beyond the range; None if it has none."""
        if isinstance(self.range, Categories):
            keys = [(type(choice), choice) for choice in self.range.choices]
            key = (type(value), value)
            return self.positions[keys.index(key)] if key in keys else None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        is_alone = self.range.low == self.range.high != value
        if is_alone or not math.isfinite(value) or (self.range.log and value <= 0):
            return None
        return position(self.range, value)


def panels(evidence: Evidence, scores: ScoreAxis) -> dict[str, Plot]:
    """Return the panels by the name of the parameter, in the order of the study file."""
    good = {trial.trial_id for trial in evidence.good}
    return {
        name: _panel(evidence, scores, name, _scale(name, kind, evidence.study.gates), good)
        for name, kind in evidence.ranges.items()
    }


def _panel(evidence: Evidence, scores: ScoreAxis, name: str, scale: Scale, good: set[int]) -> Plot:
    """Return the panel of one parameter.

    Args:
        good: `trial_id` of the good trials.
    """
    placed = _placed(evidence.study.trials, name, scale)
    region = _region(scale, [x for x, trial in placed if trial.trial_id in good])
    best = evidence.ranked[0] if evidence.ranked else None
    traces = outcome_points(placed, scores)
    traces += _medians(scale, placed, scores) if scale.is_choice else []
    traces += [
        dot_trace([x], [scores.place(trial)], [trial.number], _RING, name="best")
        for x, trial in placed
        if trial is best
    ]
    shapes = scores.strip_line()
    if region is not None:
        shapes.append(upright(*region, **_REGION))
    shapes += [] if scale.is_choice else [upright(end, end, **_BOUND) for end in (0, 1)]
    return Plot(
        name,
        _description(evidence, name, scale, placed, region),
        traces,
        plot_layout(
            xaxis=_x_axis(scale, [x for x, _ in placed]),
            yaxis=scores.layout(scores.name),
            shapes=shapes,
            margin={"l": 60, "r": 14, "t": 8, "b": 26},
        ),
        note=", ".join(scale.labels) if scale.is_choice else range_text(scale.range),
        height=260,
    )


def _placed(
    trials: Sequence[TrialRecord], name: str, scale: Scale
) -> list[tuple[float, TrialRecord]]:
    """Return (position, trial) for each trial that has the parameter; categories are spread."""
    spread = _JITTER * scale.gap
    return [
        (round(x + (trial.number * _GOLDEN % 1 - 0.5) * spread, 5), trial)
        for trial in trials
        if name in trial.params and (x := scale.place(trial.params[name])) is not None
    ]


def _x_axis(scale: Scale, positions: Sequence[float]) -> dict[str, Any]:
    """Return an axis of positions whose ticks are values as the study file writes them."""
    low, high = min(positions, default=0.0), max(positions, default=1.0)
    labels = _shortest_labels(scale.labels, max(6, 36 // max(len(scale.labels), 1)))
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
    return [line_trace(x, y, name="median", line={"color": "@ink", "width": 2})] if x else []


def _description(
    evidence: Evidence,
    name: str,
    scale: Scale,
    placed: Sequence[tuple[float, TrialRecord]],
    region: tuple[float, float] | None,
) -> str:
    label = foreign_text.plain(name)
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


def _scale(name: str, kind: Range, gates: Mapping[str, Scalar]) -> Scale:
    """Return the scale of one parameter; the two values of a gate are named by their meaning."""
    if isinstance(kind, Categories):
        n = len(kind.choices)
        options = tuple(wording.option(name, choice, gates) for choice in kind.choices)
        return Scale(kind, options, tuple((i + 0.5) / n for i in range(n)))
    ticks = _log_ticks(kind) if kind.log else _even_ticks(kind)
    if isinstance(kind, IntRange):
        ticks = [round(tick) for tick in ticks]
    labels = tuple(map(wording.scalar, ticks))
    return Scale(kind, labels, tuple(position(kind, tick) for tick in ticks))


def _log_ticks(kind: Numeric) -> list[float]:
    """Return powers of ten within a range, with their 2- and 5-fold where there is room."""
    first, last = math.floor(math.log10(kind.low)), math.ceil(math.log10(kind.high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        powers = range(first, last + 1)
        ticks = _within(kind, [digit * 10.0**power for power in powers for digit in digits])
        if len(ticks) <= _MOST_TICKS:
            break
    ticks = ticks[:: math.ceil(len(ticks) / _MOST_TICKS)]
    return ticks if len(ticks) > 1 else [kind.low, kind.high]


def _even_ticks(kind: Numeric) -> list[float]:
    """Return about five round numbers within a range, or its steps if they are few."""
    span = kind.high - kind.low
    if span <= 0:
        return [kind.low]
    if kind.step is not None and span / kind.step <= _MOST_TICKS:
        return [kind.low + n * kind.step for n in range(int(span / kind.step + 1e-9) + 1)]
    power = 10.0 ** math.floor(math.log10(span / 4))
    widths = [factor * power for factor in (1, 2, 2.5, 5, 10)]
    whole = [width for width in widths if width >= 1 and width == round(width)] or [1.0]
    usable = whole if isinstance(kind, IntRange) else widths
    width = next((width for width in usable if span / width <= _MOST_TICKS - 1), usable[-1])
    first, last = math.ceil(kind.low / width), math.floor(kind.high / width)
    return _within(kind, [float(f"{n * width:.10g}") for n in range(first, last + 1)])


def _within(kind: Numeric, ticks: list[float]) -> list[float]:
    slack = 1e-9 * max(abs(kind.low), abs(kind.high))
    return [tick for tick in ticks if kind.low - slack <= tick <= kind.high + slack]


def _shortest_labels(labels: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return labels of at most `width` characters that still differ where they did before."""
    cut = tuple(foreign_text.shortened(label, width) for label in labels)
    if len(set(cut)) == len(set(labels)):
        return cut
    return tuple(
        foreign_text.shortened(f"{i}: {label}", width) for i, label in enumerate(labels, 1)
    )
