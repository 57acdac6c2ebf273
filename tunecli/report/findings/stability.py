"""How many trials diverge, and beyond which value of which parameter."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.report.findings.evidence.common_cause import without
from tunecli.report.findings.evidence.divergence import (
    are_many,
    boundaries,
    diverged_and_rest,
    rule_figures,
)
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.findings.evidence.separation import Rule
from tunecli.report.phrases.wording import joined, plain

_HALF = 0.5


def unstable(evidence: Evidence) -> list[Finding]:
    """Return a finding if more than a few trials diverge."""
    diverged, rest = diverged_and_rest(evidence)
    if not are_many(diverged, rest):
        return []
    n = len(diverged) + len(rest)
    rules = boundaries(evidence)
    share = len(diverged) / n
    n_of = f"{len(diverged)} of {n:,}" if len(rules) != 1 else f"{len(diverged)}"
    sentence = f"{n_of} trials diverged{_where(rules, len(diverged))}."
    changes = tuple(change for rule in rules for change in without(evidence, rule))
    return [
        Finding(
            "unstable",
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
    ]


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
