"""The page of a comparison of studies."""

from __future__ import annotations

from tunecli.report import wording
from tunecli.report.comparison import Comparison
from tunecli.report.comparison_lines import cells_of
from tunecli.report.page.document import document
from tunecli.report.page.plots.contenders import best_so_far, shared_choices
from tunecli.report.page.plots.plot import Plot


def comparison_page(comparison: Comparison) -> str:
    """One HTML file."""
    plots: dict[str, Plot] = {}
    if comparison.ranked:
        plots["best"] = best_so_far(comparison)
    choices = shared_choices(comparison)
    plots |= {f"choice:{name}": plot for name, plot in choices.items()}
    summary = next((one.study.summary for one in comparison.contenders if one.study.summary), None)
    return document(
        "comparison.html",
        plots,
        {},
        names=[one.study.name for one in comparison.contenders],
        goal=f"{comparison.direction} {wording.plain(comparison.metric)}",
        metric=comparison.metric,
        rows=[cells_of(comparison, one) for one in comparison.ordered],
        choice_keys=[f"choice:{name}" for name in choices],
        data=wording.data_lines(summary) if summary is not None else [],
        marks={},
    )
