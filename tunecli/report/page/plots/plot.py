"""The plots of the page, and their common look.

Figures are plain mappings as plotly.js reads them. Colours are tokens such as `@complete`, which
the page replaces by those of its light or dark palette, so that a figure is stored once for both.
A trace's `customdata` are trial numbers; the page adds the text on a trial under the pointer.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.report.phrases import foreign_text

Trace = dict[str, Any]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"

# Hues of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind people can separate.
_COLOURS: Mapping[str, tuple[str, str]] = {
    "ink": ("#1c2128", "#e6eaf0"),
    "soft": ("#5b6470", "#9aa5b3"),
    "grid": ("#e6e9ee", "#262d36"),
    "line": ("#b8c0ca", "#4a5462"),
    "page": ("#ffffff", "#151a21"),
    "complete": ("#0072b2", "#56b4e9"),
    "pruned": ("#7b8592", "#8d98a6"),
    "diverged": ("#d55e00", "#ef7a28"),
    "infeasible": ("#b87f00", "#e69f00"),
    "failed": ("#a8467f", "#d98cb8"),
    "running": ("#00805d", "#2cc295"),
    "good": ("rgba(0, 158, 115, 0.14)", "rgba(0, 190, 140, 0.17)"),
    "score": ("#0072b2", "#56b4e9"),
    "score-band": ("rgba(0, 114, 178, 0.16)", "rgba(86, 180, 233, 0.2)"),
    "loss": ("#d55e00", "#ef7a28"),
    "loss-band": ("rgba(213, 94, 0, 0.14)", "rgba(239, 122, 40, 0.18)"),
}
"""Each colour on a light and on a dark page."""

PALETTES: Mapping[str, Mapping[str, str]] = {
    "light": {name: light for name, (light, _) in _COLOURS.items()},
    "dark": {name: dark for name, (_, dark) in _COLOURS.items()},
}


@dataclass(frozen=True)
class Plot:
    """One figure of the page.

    Attributes:
        title: heading of the figure.
        description: what it shows, for people who cannot see it.
        traces, layout: as plotly.js reads them.
        note: a line under the title; may be empty.
        height: pixels.
        wide: whether it takes the page's whole width.
    """

    title: str
    description: str
    traces: list[Trace]
    layout: dict[str, Any]
    note: str = ""
    height: int = 300
    wide: bool = False

    def figure(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        return {"data": self.traces, "layout": self.layout}


def text(foreign: str) -> str:
    """Return foreign text that Plotly shows literally: it interprets a few HTML tags."""
    return html.escape(foreign_text.plain(foreign), quote=False)


def plot_layout(**changes: Any) -> dict[str, Any]:
    """Return the common layout of all plots with the changes of one."""
    common = {
        "font": {"family": FONT, "size": 12, "color": "@soft"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 64, "r": 16, "t": 12, "b": 48},
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "@page",
            "bordercolor": "@line",
            "font": {"family": FONT, "size": 12, "color": "@ink"},
            "align": "left",
        },
        "showlegend": False,
        "dragmode": False,
    }
    return common | changes


def axis(title: str = "", **changes: Any) -> dict[str, Any]:
    """Return one axis; `title` is foreign text."""
    common = {
        "title": {"text": text(title), "standoff": 8},
        "gridcolor": "@grid",
        "linecolor": "@line",
        "zeroline": False,
        "exponentformat": "e",
        "automargin": True,
    }
    return common | changes


def line_trace(x: Sequence[float | None], y: Sequence[float | None], **changes: Any) -> Trace:
    """Return lines through points, with nothing under the pointer; None leaves a gap."""
    look = {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip"}
    return look | changes


def dot_trace(
    x: Sequence[float],
    y: Sequence[float | None],
    numbers: Sequence[int | None],
    marker: Mapping[str, Any],
    **changes: Any,
) -> Trace:
    """Return dots that show a text under the pointer: on the trials of these numbers."""
    look = {"type": "scatter", "mode": "markers", "x": x, "y": y, "hoverinfo": "text"}
    return look | {"customdata": numbers, "marker": marker} | changes


def upright(start: float, end: float, **look: Any) -> dict[str, Any]:
    """Return a shape as high as the plot, a line unless `type` is changed."""
    ends = {"yref": "paper", "x0": start, "x1": end, "y0": 0, "y1": 1}
    return {"type": "line"} | ends | look
