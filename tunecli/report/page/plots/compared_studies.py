"""Several studies in one plot: their best so far, and the options of their common choices."""

from __future__ import annotations

from tunecli.report.page.plots.interval_bars import branch_rows, interval_plot, score_axis
from tunecli.report.page.plots.plot import Plot, Trace, axis, line_trace, plot_layout, text
from tunecli.report.page.plots.scores import trial_axis
from tunecli.report.phrases import foreign_text
from tunecli.report.studies.comparison import ComparedStudy, Comparison

_COLOURS = ("complete", "diverged", "running", "failed", "infeasible")  # tokens of the palette
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def best_so_far_plot(comparison: Comparison) -> Plot:
    """Return one line per study, each with its own dash."""
    better = "higher" if comparison.direction == "maximize" else "lower"
    metric = foreign_text.shortened(comparison.title, 40)
    studies = [one for one in comparison.contenders if one.best is not None]
    metric = foreign_text.plain(comparison.title)
    return Plot(
        "Best so far",
        f"Best {metric} so far, by trial, for {len(studies)} studies.",
        [_line(one, index) for index, one in enumerate(studies)],
        plot_layout(
            xaxis=trial_axis(),
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
    known = [
        (number, value) for number, value in enumerate(one.best_so_far()) if value is not None
    ]
    return line_trace(
        [number for number, _ in known],
        [value for _, value in known],
        name=text(foreign_text.shortened(one.name, 40)),
        line={
            "color": f"@{_COLOURS[index % len(_COLOURS)]}",
            "width": 2.5,
            "dash": _DASHES[index % len(_DASHES)],
            "shape": "hv",
        },
        hoverinfo="name+x+y",
    )


def _choice(comparison: Comparison, parameter: str) -> Plot:
    rows = (
        branch_rows(branch, f"{option.name} · {study}")
        for option in comparison.shared_choices()[parameter]
        for study, branch in option.branches.items()
    )
    metric = foreign_text.plain(comparison.title)
    return interval_plot(
        parameter,
        rows,
        score_axis(metric),
        f"Best {metric} of each option of {foreign_text.plain(parameter)} in each study.",
        "Hollow diamond: the best trial. Dot with a 95 % interval: the expected best.",
    )
