"""Above or below which value of which parameter trials diverge.

One rule may separate them from the rest. If every optimizer has its own learning rate, no single
rule does; then each end of each range is examined separately.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.positions import Numeric
from tunecli.report.findings.evidence.separation import Rule, best_rule, rule_at_end
from tunecli.study_file.settings.ranges import Categories

_FEWEST = 3
_SHARE = 0.05
_LEVEL = 0.01
_PURITY = 0.6  # share of diverged trials among those beyond a boundary
_CAPTURED = 0.5  # share of the diverged trials that lie beyond it


def _boundary(evidence: Evidence) -> Rule | None:
    """Return the rule on one parameter that separates the diverged trials, if there is one."""
    diverged, rest = diverged_and_rest(evidence)
    if len(diverged) < _FEWEST or not rest:
        return None
    rule = best_rule(evidence, diverged, rest)
    if rule is None or rule.chance >= _LEVEL:
        return None
    return rule if rule.purity >= _PURITY and rule.captured >= _CAPTURED else None


def cliff(evidence: Evidence, name: str, kind: Numeric, end: float, level: float) -> Rule | None:
    """Return the rule that separates diverged trials at one end of a range, if it is not chance.

    Args:
        end: 0 for the low end, 1 for the high end.
        level: significance level of the test.
    """
    diverged, rest = diverged_and_rest(evidence)
    rule = rule_at_end(name, kind, end, diverged, rest, _PURITY)
    return rule if rule is not None and rule.chance <= level else None


def boundaries(evidence: Evidence) -> list[Rule]:
    """Return the rule that separates the diverged trials, or else the ends at which they lie.

    The list is empty while too few trials diverged for a finding.
    """
    if not are_many(*diverged_and_rest(evidence)):
        return []
    rule = _boundary(evidence)
    if rule is not None:
        return [rule]
    numeric = {n: k for n, k in evidence.ranges.items() if not isinstance(k, Categories)}
    cliffs = (
        cliff(evidence, name, kind, end, _LEVEL / len(numeric))
        for name, kind in numeric.items()
        for end in (0.0, 1.0)
    )
    return [rule for rule in cliffs if rule is not None]


def are_many(diverged: Sequence[TrialRecord], rest: Sequence[TrialRecord]) -> bool:
    return len(diverged) >= max(_FEWEST, _SHARE * (len(diverged) + len(rest)))


def diverged_and_rest(evidence: Evidence) -> tuple[list[TrialRecord], list[TrialRecord]]:
    trials = evidence.study.trials
    return (
        [trial for trial in trials if trial.outcome == "diverged"],
        [trial for trial in trials if trial.outcome in ("complete", "pruned")],
    )


def rule_figures(rule: Rule) -> dict[str, object]:
    """Return what a finding's figures contain on one boundary."""
    return {
        "parameter": rule.parameter,
        "side": rule.side,
        "boundary": rule.value,
        "n_beyond": rule.n_inside,
        "n_diverged_beyond": rule.n_marked_inside,
        "p": rule.chance,
    }
