"""The mark of each outcome: shapes differ, so that nobody depends on colours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tunecli.database.records import TrialRecord
from tunecli.report.page.plots.plot import Trace
from tunecli.report.page.plots.scores import ScoreAxis


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


def outcome_points(
    positions: Iterable[tuple[float, TrialRecord]], scores: ScoreAxis, **changes: object
) -> list[Trace]:
    """Return one trace per outcome: the score of each trial against its position."""
    by_outcome: dict[str, list[tuple[float, TrialRecord]]] = {}
    for position, trial in positions:
        by_outcome.setdefault(outcome_of(trial), []).append((position, trial))
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": word,
            "legendgroup": word,
            "x": [position for position, _ in by_outcome[word]],
            "y": [scores.place(trial) for _, trial in by_outcome[word]],
            "customdata": [trial.number for _, trial in by_outcome[word]],
            "hoverinfo": "text",
            "marker": {
                "symbol": mark.symbol,
                "size": mark.size,
                "opacity": mark.opacity,
                "color": f"@{word}",
                "line": {"width": 1.6 if mark.symbol.endswith("open") else 0, "color": f"@{word}"},
            },
            **changes,
        }
        for word, mark in MARKS.items()
        if word in by_outcome
    ]
