"""All that a study shows, the most useful first."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.report.findings.baseline import baseline
from tunecli.report.findings.budget import budget
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, Kind, NewSetting, Severity
from tunecli.report.findings.failures import failures
from tunecli.report.findings.fitting import fitting
from tunecli.report.findings.lengths import lengths
from tunecli.report.findings.limits import limits
from tunecli.report.findings.noise import noise
from tunecli.report.findings.optimism import optimism
from tunecli.report.findings.space.edges import edges
from tunecli.report.findings.space.irrelevance import dead
from tunecli.report.findings.space.losing_options import isolated_options
from tunecli.report.findings.space.narrowing import narrow
from tunecli.report.findings.stability import unstable
from tunecli.report.findings.ties import ties

MOST_SHOWN = 5
ENOUGH_TRIALS = 15  # complete ones, before more than a few things can be said

_ORDER: tuple[Severity, ...] = ("problem", "advice", "note")
_WHATEVER_IS_BEST: frozenset[Kind] = frozenset(
    {"failures", "limits", "unstable", "baseline", "length", "fitting"}
)
"""What holds with several objectives, too: it does not lead away from a part of the front."""

_AT_ONCE: frozenset[Kind] = frozenset({"failures", "limits", "baseline", "edge"})


def all_findings(evidence: Evidence) -> list[Finding]:
    """Every finding, by severity and then by weight; at most one change a parameter."""
    at_edges = edges(evidence)
    changing = [
        *failures(evidence),
        *limits(evidence),
        *unstable(evidence),
        *at_edges,
        *dead(evidence),
    ]
    changes = [change for finding in changing for change in finding.changes]
    taken = {change.parameter for change in changes if not isinstance(change, NewSetting)}
    found = [
        *changing,
        *narrow(evidence, taken),
        *isolated_options(evidence, [name for finding in at_edges for name in finding.parameters]),
        *baseline(evidence),
        *ties(evidence),
        *lengths(evidence),
        *fitting(evidence),
        *noise(evidence),
        *budget(evidence),
        *optimism(evidence),
    ]
    if evidence.study.further_objectives:
        found = [finding for finding in found if finding.kind in _WHATEVER_IS_BEST]
    return sorted(found, key=lambda finding: (_ORDER.index(finding.severity), -finding.weight))


def leading_findings(findings: Sequence[Finding], evidence: Evidence) -> list[Finding]:
    """The few that a report leads with; of a small study only what a few trials can show."""
    return sure(findings, evidence)[:MOST_SHOWN]


def sure(findings: Sequence[Finding], evidence: Evidence) -> list[Finding]:
    """Those that a study of this size can bear."""
    is_small = len(evidence.ranked) < ENOUGH_TRIALS
    return [finding for finding in findings if not is_small or finding.kind in _AT_ONCE]
