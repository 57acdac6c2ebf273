"""The plots of the page outside of it: with colours, titles, and texts on trials in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tunecli.errors import MissingPackageError
from tunecli.report.export.study_export import without_nan
from tunecli.report.page.plots.plot import PALETTES, Plot, text

Theme = Literal["light", "dark"]


def plotly_data(plot: Plot, hover: Mapping[int, str], theme: Theme = "light") -> dict[str, Any]:
    """Return one plot as plotly.js reads it, `{"data": …, "layout": …}`; JSON can store it.

    Args:
        hover: the text on each trial under the pointer, by its number.
    """
    palette = PALETTES[theme]
    page = dict.fromkeys(("paper_bgcolor", "plot_bgcolor"), palette["page"])
    heading = {"title": {"text": text(plot.title), "subtitle": {"text": text(plot.note)}}}
    margin = plot.layout["margin"] | {"t": 72}
    layout = plot.layout | heading | page | {"margin": margin, "height": plot.height + 60}
    layout["dragmode"] = "zoom"
    traces = [_with_texts(trace, hover) for trace in plot.traces]
    figure: dict[str, Any] = without_nan(_painted({"data": traces, "layout": layout}, palette))
    return figure


def plotly_figure(data: Mapping[str, Any]) -> Any:
    """Return a plotly Figure, which a notebook shows.

    Raises:
        MissingPackageError: plotly is not installed.
    """
    try:
        from plotly.graph_objects import Figure
    except ModuleNotFoundError as error:
        raise MissingPackageError("notebook", error) from None
    return Figure(dict(data))


def _with_texts(trace: Mapping[str, Any], hover: Mapping[int, str]) -> dict[str, Any]:
    """Return the trace with the text on each of its trials, as the page's script adds it."""
    trials = [hover.get(number, "") for number in trace.get("customdata", ())]
    if not trials:
        return {**trace}
    own = trace.get("hovertext") or [""] * len(trials)
    return {**trace, "hovertext": [one or two for one, two in zip(own, trials, strict=True)]}


def _painted(value: Any, palette: Mapping[str, str], *, is_colour: bool = False) -> Any:
    """Return the value with each colour token such as `@ink` replaced by its colour."""
    if isinstance(value, str):
        return palette[value[1:]] if is_colour and value.startswith("@") else value
    if isinstance(value, Mapping):
        return {
            key: _painted(entry, palette, is_colour=key.endswith("color"))
            for key, entry in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_painted(entry, palette, is_colour=is_colour) for entry in value]
    return value
