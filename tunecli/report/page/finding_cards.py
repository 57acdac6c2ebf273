"""The plots of the page that a finding links to."""

from __future__ import annotations

from collections.abc import Collection

from tunecli.report.findings.all_findings import KINDS
from tunecli.report.findings.evidence.finding import Finding

_MOST_PLOTS = 2


def finding_plots(finding: Finding, plots: Collection[str]) -> list[str]:
    """Return keys of plots: the panels of a finding's parameters and the plot of its kind.

    Args:
        plots: keys of the plots that the page has.
    """
    family = "isolation" if finding.kind == "isolation" else "parameter"
    of_parameters = [f"{family}:{name}" for name in finding.parameters]
    plot = KINDS[finding.kind].plot
    if plot == "learning":
        curves = [key for key in plots if key.startswith("learning:")]
        wanted = [f"learning:{number}" for number in finding.trials] + curves
        return [key for key in wanted if key in plots][:1]
    return [key for key in dict.fromkeys([plot, *of_parameters]) if key in plots][:_MOST_PLOTS]
