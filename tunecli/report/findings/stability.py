"""How many trials diverge, and above or below which value of which parameter."""

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
from tunecli.study_file.text.counts import count

_HALF = 0.5


def unstable(evidence: Evidence) -> list[Finding]:
    """One finding where more than a few trials diverge."""
    diverged, rest = diverged_and_rest(evidence)
    if not are_many(diverged, rest):
        return []
    n = len(diverged) + len(rest)
    rules = boundaries(evidence)
    share = len(diverged) / n
    sentence = f"{len(diverged)} of {count(n, 'trial')} diverged ({share:.0%}){_where(rules)}."
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
            advice="" if changes else "training.clip_norm: 1.0, or training.warmup: 0.1",
        )
    ]


def _where(rules: Sequence[Rule]) -> str:
    if not rules:
        return "; no single parameter tells most of them from the others"
    if len(rules) == 1 and rules[0].captured == 1 and not rules[0].n_sound:
        return f": exactly those with {rules[0].text}"
    return "".join(f", {rule.n_marked_inside} of them with {_told(rule)}" for rule in rules)


def _told(rule: Rule) -> str:
    n_sound = rule.n_sound
    rest = f"where {n_sound} of {rule.n_inside} did not" if n_sound else "where all did"
    return f"{rule.text}, {rest}"
