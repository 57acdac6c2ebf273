"""Every finding of a study, the most useful first."""

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
ENOUGH_TRIALS = 15  # complete ones; a smaller study shows only a few kinds of findings

_ORDER: tuple[Severity, ...] = ("problem", "advice", "note")
_WHATEVER_IS_BEST: frozenset[Kind] = frozenset(
    {"failures", "limits", "unstable", "baseline", "length", "fitting"}
)
"""Kinds that also hold with several objectives: they lead away from no part of the front."""

_AT_ONCE: frozenset[Kind] = frozenset({"failures", "limits", "baseline", "edge"})


def all_findings(evidence: Evidence) -> list[Finding]:
    """Return every finding, by severity and then by weight; at most one change per parameter."""
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
    findings = [
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
        findings = [finding for finding in findings if finding.kind in _WHATEVER_IS_BEST]
    return sorted(findings, key=lambda finding: (_ORDER.index(finding.severity), -finding.weight))


def leading_findings(findings: Sequence[Finding], evidence: Evidence) -> list[Finding]:
    """Return the few findings that a report shows first; see `sure` for small studies."""
    return sure(findings, evidence)[:MOST_SHOWN]


def sure(findings: Sequence[Finding], evidence: Evidence) -> list[Finding]:
    """Return the findings that a study of this size can support."""
    is_small = len(evidence.ranked) < ENOUGH_TRIALS
    return [finding for finding in findings if not is_small or finding.kind in _AT_ONCE]
