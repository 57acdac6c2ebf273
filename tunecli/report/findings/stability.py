"""How many trials diverge, and above or below which value of which parameter.

One rule may tell them from the rest. Where each optimizer has a learning rate of its own, none
does; then each end of a range is looked at for itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.report.findings.common_cause import without
from tunecli.report.findings.evidence import Evidence
from tunecli.report.findings.finding import Finding
from tunecli.report.findings.positions import Numeric
from tunecli.report.findings.separation import Rule, best_rule, rule_at_end
from tunecli.report.records import TrialRecord
from tunecli.study_file.counts import count
from tunecli.study_file.ranges import Categories

_FEWEST = 3
_SHARE = 0.05
_LEVEL = 0.01
_PURITY = 0.6  # of the trials beyond a boundary, those that diverge
_CAPTURED = 0.5  # of those that diverge, those beyond it
_HALF = 0.5


def _boundary(evidence: Evidence) -> Rule | None:
    """The rule on one parameter that tells the diverged trials from the rest, if there is one."""
    diverged, rest = _diverged(evidence)
    if len(diverged) < _FEWEST or not rest:
        return None
    rule = best_rule(evidence, diverged, rest)
    if rule is None or rule.chance >= _LEVEL:
        return None
    return rule if rule.purity >= _PURITY and rule.captured >= _CAPTURED else None


def cliff(evidence: Evidence, name: str, kind: Numeric, end: float, level: float) -> Rule | None:
    """What tells diverged trials from the rest at one end of a range, if chance would not.

    Args:
        end: 0 for the low one, 1 for the high one.
        level: of the test.
    """
    diverged, rest = _diverged(evidence)
    rule = rule_at_end(name, kind, end, diverged, rest, _PURITY)
    return rule if rule is not None and rule.chance <= level else None


def boundaries(evidence: Evidence) -> list[Rule]:
    """The rule that tells the diverged trials from the rest, or the ends at which they lie.

    None while too few diverged to be worth a finding.
    """
    if not _are_many(*_diverged(evidence)):
        return []
    rule = _boundary(evidence)
    if rule is not None:
        return [rule]
    numeric = {n: k for n, k in evidence.ranges.items() if not isinstance(k, Categories)}
    found = (
        cliff(evidence, name, kind, end, _LEVEL / len(numeric))
        for name, kind in numeric.items()
        for end in (0.0, 1.0)
    )
    return [rule for rule in found if rule is not None]


def unstable(evidence: Evidence) -> list[Finding]:
    """One finding where more than a few trials diverge."""
    diverged, rest = _diverged(evidence)
    if not _are_many(diverged, rest):
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


def _are_many(diverged: Sequence[TrialRecord], rest: Sequence[TrialRecord]) -> bool:
    return len(diverged) >= max(_FEWEST, _SHARE * (len(diverged) + len(rest)))


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


def _diverged(evidence: Evidence) -> tuple[list[TrialRecord], list[TrialRecord]]:
    trials = evidence.study.trials
    return (
        [trial for trial in trials if trial.outcome == "diverged"],
        [trial for trial in trials if trial.outcome in ("complete", "pruned")],
    )


def rule_figures(rule: Rule) -> dict[str, object]:
    """What stands in a finding's figures of one boundary."""
    return {
        "parameter": rule.parameter,
        "side": rule.side,
        "boundary": rule.value,
        "n_beyond": rule.n_inside,
        "n_diverged_beyond": rule.n_marked_inside,
        "p": rule.chance,
    }
