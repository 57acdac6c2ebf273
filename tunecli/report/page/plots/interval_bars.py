"""Values with their intervals, line by line: importances, options of a choice, best trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.report.page.plots.plot import Plot, Trace, axis, plot_layout, text
from tunecli.report.phrases import wording

_ROW = 26  # pixels
_AROUND = 64


@dataclass(frozen=True)
class Row:
    """One dot of such a plot.

    Attributes:
        label: foreign text.
        low, high: ends of the interval; None without one.
        hover: text under the pointer.
        colour, symbol: look of the dot.
        number: number of the trial, if the dot is a trial.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    hover: str = ""
    colour: str = "@complete"
    symbol: str = "circle"
    number: int | None = None


def interval_plot(
    title: str,
    lines: Sequence[Sequence[Row]],
    value_axis: dict[str, Any],
    description: str,
    note: str = "",
) -> Plot:
    """Return dots with their intervals, line by line, the first on top.

    Args:
        lines: the dots of each line; its label is that of its first dot.
    """
    labels = [wording.shortened(rows[0].label, 34) for rows in lines]
    return Plot(
        title,
        description,
        [_dots(lines)],
        plot_layout(
            xaxis=value_axis,
            yaxis=axis(
                tickvals=list(range(len(lines))),
                ticktext=[text(label) for label in labels],
                range=[len(lines) - 0.4, -0.6],
                showgrid=False,
                tickfont={"color": "@ink"},
            ),
            margin={"l": 24, "r": 20, "t": 8, "b": 44},
        ),
        note=note,
        height=_AROUND + _ROW * max(len(lines), 2),
    )


def _dots(lines: Sequence[Sequence[Row]]) -> Trace:
    placed = [(y, row) for y, rows in enumerate(lines) for row in rows]
    rows = [row for _, row in placed]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [row.value for row in rows],
        "y": [y for y, _ in placed],
        "customdata": [row.number for row in rows],
        "hovertext": [text(row.hover) for row in rows],
        "hoverinfo": "text",
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(row.high, row.value) for row in rows],
            "arrayminus": [_reach(row.value, row.low) for row in rows],
            "color": "@soft",
            "thickness": 1.6,
            "width": 5,
        },
        "marker": {
            "color": [row.colour for row in rows],
            "symbol": [row.symbol for row in rows],
            "size": 10,
        },
    }


def _reach(high: float | None, low: float | None) -> float | None:
    """Return the length of one arm; None draws nothing, while 0 would still draw its end."""
    return max(high - low, 0.0) if high is not None and low is not None else None
