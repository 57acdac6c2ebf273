"""The page of a comparison of studies."""

from __future__ import annotations

from tunecli.report.page.html_document import html_page
from tunecli.report.page.plots.compared_studies import best_so_far_plot, shared_choices
from tunecli.report.page.plots.plot import Plot
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.screen.comparison_lines import study_row, verdict_notes
from tunecli.report.studies.comparison import Comparison


def comparison_page(comparison: Comparison) -> str:
    """Return the comparison as one HTML file."""
    plots: dict[str, Plot] = {}
    if comparison.ranked:
        plots["best"] = best_so_far_plot(comparison)
    choices = shared_choices(comparison)
    plots |= {f"choice:{name}": plot for name, plot in choices.items()}
    summary = next((one.study.summary for one in comparison.contenders if one.study.summary), None)
    return html_page(
        "comparison.html",
        plots,
        {},
        names=[one.study.name for one in comparison.contenders],
        goal=f"{comparison.direction} {foreign_text.plain(comparison.title)}",
        metric=comparison.title,
        rows=[study_row(comparison, one) for one in comparison.ordered],
        choice_keys=[f"choice:{name}" for name in choices],
        data=wording.data_lines(summary) if summary is not None else [],
        notes=verdict_notes(comparison),
        marks={},
    )
