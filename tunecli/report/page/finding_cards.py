"""The plots that show a finding on the page."""

from __future__ import annotations

from collections.abc import Collection

from tunecli.report.findings.evidence.finding import Finding, Kind

_MOST_PLOTS = 2

_PLOTS: dict[Kind, str] = {
    "failures": "history",
    "limits": "history",
    "baseline": "baselines",
    "ties": "leaders",
    "noise": "leaders",
    "optimism": "test",
    "budget": "history",
    "length": "learning",
    "fitting": "learning",
}
"""The plot that shows a kind of finding, in addition to those of its parameters."""


def finding_plots(finding: Finding, plots: Collection[str]) -> list[str]:
    """Return keys of plots: the panels of a finding's parameters and the plot of its kind.

    Args:
        plots: keys of the plots that the page has.
    """
    family = "isolation" if finding.kind == "isolation" else "parameter"
    of_parameters = [f"{family}:{name}" for name in finding.parameters]
    kind = _PLOTS.get(finding.kind)
    if kind == "learning":
        curves = [key for key in plots if key.startswith("learning:")]
        wanted = [f"learning:{number}" for number in finding.trials] + curves
        return [key for key in wanted if key in plots][:1]
    wanted = [kind, *of_parameters] if kind else of_parameters
    return [key for key in dict.fromkeys(wanted) if key in plots][:_MOST_PLOTS]
