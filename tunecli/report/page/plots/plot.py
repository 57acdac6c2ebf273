"""The plots of the page, and their common look.

Figures are plain mappings as plotly.js reads them. Colours are tokens such as `@complete`, which
the page replaces by those of its light or dark palette, so that a figure is stored once for both.
A trace's `customdata` are trial numbers; the page adds the text on a trial under the pointer.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunecli.report.phrases import wording

Trace = dict[str, Any]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"

# Hues of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind people can separate.
PALETTES: Mapping[str, Mapping[str, str]] = {
    "light": {
        "ink": "#1c2128",
        "soft": "#5b6470",
        "grid": "#e6e9ee",
        "line": "#b8c0ca",
        "page": "#ffffff",
        "veil": "rgba(255, 255, 255, 0.78)",
        "complete": "#0072b2",
        "pruned": "#7b8592",
        "diverged": "#d55e00",
        "infeasible": "#b87f00",
        "failed": "#a8467f",
        "running": "#00805d",
        "good": "rgba(0, 158, 115, 0.14)",
        "score": "#0072b2",
        "score-band": "rgba(0, 114, 178, 0.16)",
        "loss": "#d55e00",
        "loss-band": "rgba(213, 94, 0, 0.14)",
        "pale": "rgba(91, 100, 112, 0.16)",
        "middle": "rgba(91, 100, 112, 0.38)",
        "series-0": "#0072b2",
        "series-1": "#d55e00",
        "series-2": "#00805d",
        "series-3": "#a8467f",
        "series-4": "#b87f00",
    },
    "dark": {
        "ink": "#e6eaf0",
        "soft": "#9aa5b3",
        "grid": "#262d36",
        "line": "#4a5462",
        "page": "#151a21",
        "veil": "rgba(21, 26, 33, 0.78)",
        "complete": "#56b4e9",
        "pruned": "#8d98a6",
        "diverged": "#ef7a28",
        "infeasible": "#e69f00",
        "failed": "#d98cb8",
        "running": "#2cc295",
        "good": "rgba(0, 190, 140, 0.17)",
        "score": "#56b4e9",
        "score-band": "rgba(86, 180, 233, 0.2)",
        "loss": "#ef7a28",
        "loss-band": "rgba(239, 122, 40, 0.18)",
        "pale": "rgba(154, 165, 179, 0.15)",
        "middle": "rgba(154, 165, 179, 0.4)",
        "series-0": "#56b4e9",
        "series-1": "#ef7a28",
        "series-2": "#2cc295",
        "series-3": "#d98cb8",
        "series-4": "#e69f00",
    },
}


@dataclass(frozen=True)
class Plot:
    """One figure of the page.

    Attributes:
        title: heading of the figure.
        description: what it shows, for people who cannot see it.
        traces, layout: as plotly.js reads them.
        note: a line under the title; may be empty.
        height, least_width: pixels; a narrower page scrolls it.
        wide: whether it takes the page's whole width.
    """

    title: str
    description: str
    traces: list[Trace]
    layout: dict[str, Any]
    note: str = ""
    height: int = 300
    least_width: int = 0
    wide: bool = False

    def figure(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        return {"data": self.traces, "layout": self.layout}


def text(foreign: str) -> str:
    """Return foreign text that Plotly shows literally: it interprets a few HTML tags."""
    return html.escape(wording.plain(foreign), quote=False)


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
