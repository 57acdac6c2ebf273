"""The axis of scores, the same in all plots of a study.

Trials that went wrong, or were pruned after an epoch, would compress all others into a line. So
outliers by Tukey's rule (three interquartile ranges beyond the worse quartile of the complete
trials) are drawn on a strip at the worse end, and so are trials without a score.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.page.plots.plot import axis
from tunecli.report.phrases import wording

STRIP = "Beyond the dotted line: trials without a score, or with an outlying one."

_FAR_OUT = 3.0  # interquartile ranges
_STRIP, _MARGIN = 0.09, 0.05  # shares of the axis


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
        complete = [values[t.trial_id] for t in study.trials if _is_complete(t, values)]
        low, high = _limits(values.values(), complete, maximize)
        beyond = any(
            not low <= values.get(trial.trial_id, math.nan) <= high
            for trial in study.trials
            if trial.state != "waiting"
        )
        span = high - low
        end = low - _STRIP * span if maximize else high + _STRIP * span
        better = "higher" if maximize else "lower"
        title = f"{wording.shortened(study.metric, 40)} ({better} is better)"
        name = wording.shortened(study.metric, 24)
        return cls(title, name, low, high, maximize, end if beyond else None, values)

    def place(self, trial: TrialRecord) -> float | None:
        """Return the position of a trial; None without a score if there is no strip."""
        value = self.values.get(trial.trial_id)
        inside = value is not None and self.low <= value <= self.high
        return value if inside else self.strip

    def layout(self, **changes: Any) -> dict[str, Any]:
        """Return the axis as Plotly reads it; `title` may be changed to the shorter `name`."""
        span = self.high - self.low
        ends = [self.low - _MARGIN * span, self.high + _MARGIN * span]
        if self.strip is not None:
            worse = 0 if self.maximize else 1
            ends[worse] = self.strip + (-1 if self.maximize else 1) * _MARGIN * span
        return axis(changes.pop("title", self.title), range=ends, nticks=6, **changes)

    def strip_line(self) -> list[dict[str, Any]]:
        """Return a dotted line that separates the strip from the axis."""
        if self.strip is None:
            return []
        edge = (self.strip + (self.low if self.maximize else self.high)) / 2
        return [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": edge,
                "y1": edge,
                "line": {"color": "@line", "width": 1, "dash": "dot"},
                "layer": "below",
            }
        ]


def _score(trial: TrialRecord, curves: Mapping[int, Curve]) -> float | None:
    value = trial.value
    if value is None and trial.state == "running" and trial.trial_id in curves:
        value = next(reversed(curves[trial.trial_id].score), None)
    if value is None or trial.outcome in ("diverged", "failed") or not math.isfinite(value):
        return None
    return value


def _is_complete(trial: TrialRecord, values: Mapping[int, float]) -> bool:
    return trial.state == "complete" and trial.trial_id in values


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
