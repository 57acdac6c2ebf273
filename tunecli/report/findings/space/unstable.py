"""How many trials diverge, and above or below which value of which parameter.

One rule may separate them from the rest. If every optimizer has its own learning rate, no single
rule does; then each end of each range is examined separately.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.findings.evidence.positions import Numeric
from tunecli.report.findings.evidence.separation import Rule, best_rule, rule_at_end, without
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import joined

_FEWEST = 3
_SHARE = 0.05
_HALF = 0.5
_LEVEL = 0.01
_PURITY = 0.6  # share of diverged trials among those beyond a boundary
_CAPTURED = 0.5  # share of the diverged trials that lie beyond it


@finding("unstable", of_several=True, rank=2)
def unstable(evidence: Evidence) -> Iterator[Finding]:
    """Return a finding if more than a few trials diverge."""
    diverged, rest = _diverged_and_rest(evidence)
    if not _are_many(diverged, rest):
        return
    n = len(diverged) + len(rest)
    rules = boundaries(evidence)
    share = len(diverged) / n
    n_of = f"{len(diverged)} of {n:,}" if len(rules) != 1 else f"{len(diverged)}"
    sentence = f"{n_of} trials diverged{_where(rules, len(diverged))}."
    changes = tuple(change for rule in rules for change in without(evidence, rule))
    yield Finding(
        "problem" if share > _HALF else "advice",
        sentence,
        weight=min(1.0, 0.5 + share),
        figures={
            "n_diverged": len(diverged),
            "n_trials": n,
            "boundaries": [rule_figures(rule) for rule in rules],
        },
        parameters=tuple(rule.parameter for rule in rules),
        trials=tuple(trial.number for trial in diverged),
        changes=changes,
        advice="" if changes else "set training.clip_norm: 1.0 or training.warmup: 0.1",
    )


def _where(rules: Sequence[Rule], n_diverged: int) -> str:
    """Return where trials diverge; with several rules only at which ends of which ranges."""
    if not rules:
        return "; no single parameter explains it"
    if len(rules) > 1:
        return f", many of them at {joined([_end(rule) for rule in rules])}"
    (rule,) = rules
    if rule.n_marked_inside < n_diverged:
        share = "most" if 2 * rule.n_marked_inside > n_diverged else "some"
        return f", {share} of them with {rule.text}"
    return (
        f", all of them with {rule.text}" if rule.n_sound else f": exactly those with {rule.text}"
    )


def _end(rule: Rule) -> str:
    if rule.side == "is":
        return rule.text
    return f"the {'upper' if rule.side == 'above' else 'lower'} end of {plain(rule.parameter)}"


def boundaries(evidence: Evidence) -> list[Rule]:
    """Return the rule that separates the diverged trials, or else the ends at which they lie.

    The list is empty while too few trials diverged for a finding.
    """
    diverged, rest = _diverged_and_rest(evidence)
    if not _are_many(diverged, rest):
        return []
    rule = best_rule(evidence, diverged, rest) if rest else None
    if rule and rule.chance < _LEVEL and rule.purity >= _PURITY and rule.captured >= _CAPTURED:
        return [rule]
    numeric = evidence.numeric
    cliffs = (
        cliff(evidence, name, kind, end, _LEVEL / len(numeric))
        for name, kind in numeric.items()
        for end in (0.0, 1.0)
    )
    return [rule for rule in cliffs if rule is not None]


def cliff(evidence: Evidence, name: str, kind: Numeric, end: float, level: float) -> Rule | None:
    """Return the rule that separates diverged trials at one end of a range, if it is not chance.

    Args:
        end: 0 for the low end, 1 for the high end.
        level: significance level of the test.
    """
    diverged, rest = _diverged_and_rest(evidence)
    rule = rule_at_end(name, kind, end, diverged, rest, _PURITY)
    return rule if rule is not None and rule.chance <= level else None


def _are_many(diverged: Sequence[TrialRecord], rest: Sequence[TrialRecord]) -> bool:
    return len(diverged) >= max(_FEWEST, _SHARE * (len(diverged) + len(rest)))


def _diverged_and_rest(evidence: Evidence) -> tuple[list[TrialRecord], list[TrialRecord]]:
    return evidence.ended("diverged"), evidence.ended("complete", "pruned")


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
