"""The score of each trial: its axis and marks, the same in all plots of a study, and its history.

Trials that went wrong, or were pruned after an epoch, would compress all others into a line. So
outliers by Tukey's rule (three interquartile ranges beyond the worse quartile of the complete
trials) are drawn on a strip at the worse end, and so are trials without a score.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis import ranking
from tunecli.report.page.plots.plot import (
    Plot,
    Trace,
    axis,
    dot_trace,
    line_trace,
    plot_layout,
    text,
)
from tunecli.report.phrases import foreign_text, wording
from tunecli.study_file.text.counts import count

STRIP = "Beyond the dotted line: trials without a score, or with an outlying one."

_FAR_OUT = 3.0  # interquartile ranges
_STRIP, _MARGIN = 0.09, 0.05  # shares of the axis
_NAME_WIDTH = 0.25  # of a baseline, as a share of the plot's width


@dataclass(frozen=True)
class ScoreAxis:
    """The axis of scores, and the position of each trial on it.

    Attributes:
        low, high: ends of the axis without the strip.
        strip: position of outliers and trials without a score; None if there are none.
        values: score of each trial that has a finite one, by `trial_id`.
    """

    title: str
    name: str
    low: float
    high: float
    maximize: bool
    strip: float | None = None
    values: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, study: StudyRecord, curves: Mapping[int, Curve]) -> ScoreAxis:
        """Return the axis for all trials; a running one has the score of its last evaluation."""
        maximize = study.direction == "maximize"
        values = {
            trial.trial_id: value
            for trial in study.trials
            if (value := _score(trial, curves)) is not None
        }
        complete = [
            values[trial.trial_id]
            for trial in study.trials
            if trial.state == "complete" and trial.trial_id in values
        ]
        low, high = _limits(values.values(), complete, maximize)
        beyond = any(
            not low <= values.get(trial.trial_id, math.nan) <= high
            for trial in study.trials
            if trial.state != "waiting"
        )
        span = high - low
        end = low - _STRIP * span if maximize else high + _STRIP * span
        better = "higher" if maximize else "lower"
        title = f"{foreign_text.shortened(study.title, 40)} ({better} is better)"
        name = foreign_text.shortened(study.title, 24)
        return cls(title, name, low, high, maximize, end if beyond else None, values)

    def reaching(self, values: Iterable[float]) -> ScoreAxis:
        """Return the axis extended to the values that are better than its better end."""
        finite = [value for value in values if math.isfinite(value)]
        if self.maximize:
            return replace(self, high=max([self.high, *finite]))
        return replace(self, low=min([self.low, *finite]))

    def place(self, trial: TrialRecord) -> float | None:
        """Return the position of a trial; None without a score if there is no strip."""
        value = self.values.get(trial.trial_id)
        inside = value is not None and self.low <= value <= self.high
        return value if inside else self.strip

    def layout(self, title: str = "") -> dict[str, Any]:
        """Return the axis as Plotly reads it; `title` may be the shorter `name`."""
        span = self.high - self.low
        ends = [self.low - _MARGIN * span, self.high + _MARGIN * span]
        if self.strip is not None:
            worse = 0 if self.maximize else 1
            ends[worse] = self.strip + (-1 if self.maximize else 1) * _MARGIN * span
        return axis(title or self.title, range=ends, nticks=6)

    def strip_line(self) -> list[dict[str, Any]]:
        """Return a dotted line that separates the strip from the axis."""
        if self.strip is None:
            return []
        edge = (self.strip + (self.low if self.maximize else self.high)) / 2
        line = {"color": "@line", "width": 1, "dash": "dot"}
        ends = {"xref": "paper", "x0": 0, "x1": 1, "y0": edge, "y1": edge}
        return [{"type": "line", **ends, "line": line, "layer": "below"}]


def _score(trial: TrialRecord, curves: Mapping[int, Curve]) -> float | None:
    value = trial.value
    if value is None and trial.state == "running" and trial.trial_id in curves:
        value = next(reversed(curves[trial.trial_id].score), None)
    if value is None or trial.outcome in ("diverged", "failed") or not math.isfinite(value):
        return None
    return value


def _limits(
    values: Iterable[float], complete: Sequence[float], maximize: bool
) -> tuple[float, float]:
    """Return the ends of the axis: all values without outliers at the worse end."""
    scores = [*values]
    if not scores:
        return 0.0, 1.0
    low, high = min(scores), max(scores)
    if len(complete) > 3:
        first, _, third = statistics.quantiles(complete, n=4)
        reach = _FAR_OUT * (third - first)
        if maximize:
            low = min(value for value in scores if value >= first - reach)
        else:
            high = max(value for value in scores if value <= third + reach)
    if low == high:
        room = abs(low) * 0.01 or 0.5
        return low - room, high + room
    return low, high


@dataclass(frozen=True)
class Mark:
    """The mark of an outcome. Attributes: `symbol`: Plotly's name; `size`: pixels."""

    symbol: str
    size: int = 8
    opacity: float = 0.9


MARKS = {
    "pruned": Mark("triangle-down-open", 7, 0.75),
    "infeasible": Mark("diamond-open"),
    "failed": Mark("square-open"),
    "diverged": Mark("x-thin-open", 8, 1.0),
    "running": Mark("circle-open", 9),
    "complete": Mark("circle", 7, 0.8),
}
"""Marks by outcome, in the order of drawing: the most important lie on top."""


def outcome_of(trial: TrialRecord) -> str:
    """Return a trial's outcome, or its state, such as `running`, while it has none."""
    return trial.outcome or trial.state


def outcomes(trials: Iterable[TrialRecord]) -> list[str]:
    """Return the outcomes that occur among these trials, the most important first."""
    words = {outcome_of(trial) for trial in trials}
    return [word for word in reversed(MARKS) if word in words]


def score_plot(
    title: str,
    description: str,
    line: Trace,
    positions: Sequence[tuple[float, TrialRecord]],
    scores: ScoreAxis,
    x_axis: dict[str, Any],
    note: str,
) -> Plot:
    """Return a wide plot of all scores against their positions, with a line behind them."""
    return Plot(
        title,
        description,
        [*([line] if line["x"] else []), *outcome_points(positions, scores)],
        plot_layout(xaxis=x_axis, yaxis=scores.layout(), shapes=scores.strip_line()),
        note=f"{note} {STRIP}" if scores.strip is not None else note,
        height=360,
        wide=True,
    )


def outcome_points(
    positions: Iterable[tuple[float, TrialRecord]], scores: ScoreAxis
) -> list[Trace]:
    """Return one trace per outcome: the score of each trial against its position."""
    by_outcome: dict[str, list[tuple[float, TrialRecord]]] = {}
    for position, trial in positions:
        by_outcome.setdefault(outcome_of(trial), []).append((position, trial))
    return [
        dot_trace(
            [position for position, _ in by_outcome[word]],
            [scores.place(trial) for _, trial in by_outcome[word]],
            [trial.number for _, trial in by_outcome[word]],
            {
                "symbol": mark.symbol,
                "size": mark.size,
                "opacity": mark.opacity,
                "color": f"@{word}",
                "line": {"width": 1.6 if mark.symbol.endswith("open") else 0, "color": f"@{word}"},
            },
            name=word,
            legendgroup=word,
        )
        for word, mark in MARKS.items()
        if word in by_outcome
    ]


def history(study: StudyRecord, scores: ScoreAxis) -> Plot:
    """Return every trial's score, with the best so far as a line, and lines of the baselines."""
    untuned = {
        one.name: statistics.fmean(one.fold_scores) for one in study.baselines if one.fold_scores
    }
    scores = scores.reaching(untuned.values())
    shown = {name: value for name, value in untuned.items() if scores.low <= value <= scores.high}
    steps = ranking.best_so_far(study)
    ends = [*steps, (max(trial.number for trial in study.trials), steps[-1][1])] if steps else []
    line = line_trace(
        [number for number, _ in ends],
        [value for _, value in ends],
        name="best so far",
        line={"color": "@ink", "width": 2, "shape": "hv"},
    )
    plot = score_plot(
        "Score over trials",
        _description(study, steps),
        line,
        [(trial.number, trial) for trial in study.trials if trial.state != "waiting"],
        scores,
        trial_axis(),
        " ".join(["The line is the best complete trial so far.", *_on_baselines(shown, untuned)]),
    )
    lines = plot.layout["shapes"] + [_baseline_line(value) for value in shown.values()]
    plot.layout["shapes"] = lines
    plot.layout["annotations"] = [
        _baseline_name(name, value, number) for number, (name, value) in enumerate(shown.items())
    ]
    return plot


def _on_baselines(shown: Mapping[str, float], all_: Mapping[str, float]) -> Iterator[str]:
    """Yield what the dashed lines are, and which baselines have none."""
    if shown:
        yield "Dashed: untuned baselines on the same folds."
    if beyond := [name for name in all_ if name not in shown]:
        yield f"Worse than the range shown: {', '.join(map(foreign_text.plain, beyond))}."


def _baseline_line(value: float) -> dict[str, Any]:
    ends = {"xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value}
    line = {"color": "@infeasible", "width": 1, "dash": "dash"}
    return {"type": "line", **ends, "line": line, "layer": "below"}


def _baseline_name(name: str, value: float, number: int) -> dict[str, Any]:
    """Return the name of a baseline at its line; neighbours stand side by side, not on top."""
    return {
        "text": text(name),
        "xref": "paper",
        "x": 1 - number * _NAME_WIDTH,
        "xanchor": "right",
        "y": value,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": "@soft"},
    }


def trial_axis() -> dict[str, Any]:
    """Return an axis of numbers of trials."""
    return axis("trial", rangemode="tozero", showgrid=False, tickformat=",d")


def _description(study: StudyRecord, steps: Sequence[tuple[int, float]]) -> str:
    n_trials = count(len(study.trials), "trial")
    if not steps:
        return f"{n_trials}, none of them complete."
    went = "rose" if study.direction == "maximize" else "fell"
    (first, start), (last, end) = steps[0], steps[-1]
    return (
        f"The best {foreign_text.plain(study.title)} {went} from {wording.score(start)} in trial "
        f"{first} to {wording.score(end)} in trial {last}, of {n_trials}."
    )
