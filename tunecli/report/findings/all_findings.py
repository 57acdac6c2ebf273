"""Every finding of a study, the most useful first."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.report.findings.baseline import baseline
from tunecli.report.findings.budget import budget
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, FindingKind, Severity
from tunecli.report.findings.failures import failures
from tunecli.report.findings.fitting import fitting
from tunecli.report.findings.length import lengths
from tunecli.report.findings.limits import limits
from tunecli.report.findings.noise import noise
from tunecli.report.findings.optimism import optimism
from tunecli.report.findings.space.dead import dead
from tunecli.report.findings.space.edge import edges
from tunecli.report.findings.space.losing_options import isolated_options, undecided_choices
from tunecli.report.findings.space.narrow import narrow
from tunecli.report.findings.space.unstable import unstable
from tunecli.report.findings.ties import ties
from tunecli.report.findings.untrained import untrained
from tunecli.report.findings.worse_metric import worse_metric

# Of equal weight, the first comes first. A kind comes after those that it takes into account, so
# that no two findings contradict each other:
#   edge        leaves an end of a range at which trials diverge to `unstable`
#   isolation   waits for options whose ranges end too early (`edge`)
#   fitting     calls no trial overfitted that should train longer, nor the reverse (`length`)
#   dead        leaves out what diverges, improves towards an end, wins, moves with the number of
#               epochs (`length`) or regularizes
#   undecided   leaves out choices that have a winner, or make no difference
#   narrow      leaves out ranges that another finding changes
#   isolation, ties and noise rest on the same standings of the trials.
_ALL: tuple[FindingKind, ...]
_ALL = (failures, untrained, limits, unstable, edges, isolated_options, lengths, fitting, dead)
_ALL += (undecided_choices, narrow, baseline, worse_metric, ties, noise, budget, optimism)

KINDS = {kind.name: kind for kind in _ALL}
"""All kinds of findings."""

MOST_SHOWN = 5

_ORDER: tuple[Severity, ...] = ("problem", "advice", "note")


def all_findings(evidence: Evidence) -> list[Finding]:
    """Return every finding, by severity and then by weight; at most one change per parameter."""
    found: dict[str, list[Finding]] = {}
    for name, kind in KINDS.items():
        is_silent = kind.compares and not evidence.is_guessing_beaten
        found[name] = [] if is_silent else kind(evidence, *(found[one] for one in kind.after))
    findings = [one for of_kind in found.values() for one in of_kind]
    if evidence.study.further_objectives:
        findings = [finding for finding in findings if KINDS[finding.kind].of_several]
    return sorted(findings, key=lambda finding: (_ORDER.index(finding.severity), -finding.weight))


def leading_findings(findings: Sequence[Finding], evidence: Evidence) -> list[Finding]:
    """Return the few findings that a report shows first; see `sure` for small studies."""
    return sure(findings, evidence)[:MOST_SHOWN]


def sure(findings: Sequence[Finding], evidence: Evidence) -> list[Finding]:
    """Return the findings that a study of this size can support."""
    n_trials = len(evidence.ranked)
    return [finding for finding in findings if n_trials >= KINDS[finding.kind].needs_trials]
