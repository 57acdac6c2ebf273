"""Findings as the page shows them: each with the plots that show it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tunecli.report.findings.all_findings import KINDS
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.phrases import wording

_MOST_PLOTS = 2


@dataclass(frozen=True)
class Article:
    """One finding on the page.

    Attributes:
        sentence, severity: taken from the finding.
        lines: what to write in the study file.
        advice: what to do in words, where no line helps.
        plots: keys of the page's plots.
        trials: numbers of the trials that show it.
    """

    severity: str
    sentence: str
    lines: Sequence[str]
    advice: str
    plots: Sequence[str]
    trials: Sequence[int]


def articles(findings: Sequence[Finding], plots: Collection[str]) -> list[Article]:
    """Return each finding with its plots.

    Args:
        plots: keys of the plots that the page has.
    """
    return [
        Article(
            finding.severity,
            wording.plain(finding.sentence),
            [wording.plain(change.line) for change in finding.changes],
            wording.plain(finding.advice),
            _plots(finding, plots),
            finding.trials,
        )
        for finding in findings
    ]


def _plots(finding: Finding, plots: Collection[str]) -> list[str]:
    """Return the panels of a finding's parameters and the plot of its kind."""
    family = "isolation" if finding.kind == "isolation" else "parameter"
    of_parameters = [f"{family}:{name}" for name in finding.parameters]
    plot = KINDS[finding.kind].plot
    if plot == "learning":
        curves = [key for key in plots if key.startswith("learning:")]
        wanted = [f"learning:{number}" for number in finding.trials] + curves
        return [key for key in wanted if key in plots][:1]
    return [key for key in dict.fromkeys([plot, *of_parameters]) if key in plots][:_MOST_PLOTS]
