"""Several studies in one plot: their best so far, and the options of their common choices."""

from __future__ import annotations

from typing import Any

from tunecli.report.page.plots.choices import branch_rows
from tunecli.report.page.plots.interval_bars import Row, interval_plot
from tunecli.report.page.plots.plot import Plot, Trace, axis, plot_layout, text
from tunecli.report.phrases import wording
from tunecli.report.studies.comparison import ComparedStudy, Comparison

_N_COLOURS = 5
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def best_so_far_plot(comparison: Comparison) -> Plot:
    """Return one line per study, each with its own dash."""
    better = "higher" if comparison.direction == "maximize" else "lower"
    metric = wording.shortened(comparison.metric, 40)
    studies = [one for one in comparison.contenders if one.best is not None]
    return Plot(
        "Best so far",
        f"Best {wording.plain(comparison.metric)} so far over trials, for {len(studies)} studies.",
        [_line(one, index) for index, one in enumerate(studies)],
        plot_layout(
            xaxis=axis("trial", rangemode="tozero", showgrid=False, tickformat=",d"),
            yaxis=axis(f"{metric} ({better} is better)", nticks=6),
            showlegend=True,
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "font": {"size": 13}},
            margin={"l": 64, "r": 24, "t": 40, "b": 48},
        ),
        height=400,
        wide=True,
    )


def shared_choices(comparison: Comparison) -> dict[str, Plot]:
    """Return plots of what each option reached in each study, by the name of the choice."""
    return {
        parameter: _choice(comparison, parameter)
        for parameter, options in comparison.shared_choices().items()
        if any(branch.best is not None for o in options for branch in o.branches.values())
    }


def _line(one: ComparedStudy, index: int) -> Trace:
    curve = one.best_so_far()
    known = [(number, value) for number, value in enumerate(curve) if value is not None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": text(wording.shortened(one.name, 40)),
        "x": [number for number, _ in known],
        "y": [value for _, value in known],
        "line": {
            "color": f"@series-{index % _N_COLOURS}",
            "width": 2.5,
            "dash": _DASHES[index % len(_DASHES)],
            "shape": "hv",
        },
        "hoverinfo": "name+x+y",
    }


def _choice(comparison: Comparison, parameter: str) -> Plot:
    lines: list[list[Row]] = [
        branch_rows(branch, f"{option.name} · {study}")
        for option in comparison.shared_choices()[parameter]
        for study, branch in option.branches.items()
    ]
    metric = wording.plain(comparison.metric)
    value_axis: dict[str, Any] = axis(wording.shortened(metric, 40), nticks=5)
    return interval_plot(
        parameter,
        [rows for rows in lines if rows],
        value_axis,
        f"Best {metric} of each option of {wording.plain(parameter)} in each study.",
        "Hollow diamond: the best trial. Dot with a 95 % interval: the expected best.",
    )
