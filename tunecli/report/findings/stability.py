"""How many trials diverge, and above or below which value of which parameter."""

from __future__ import annotations

from tunecli.report.findings.common_cause import without
from tunecli.report.findings.evidence import Evidence
from tunecli.report.findings.finding import Finding
from tunecli.report.findings.separation import Rule, best_rule
from tunecli.report.records import TrialRecord
from tunecli.report.wording import count

_FEWEST = 3
_SHARE = 0.05
_LEVEL = 0.01
_PURITY = 0.6  # of the trials beyond a boundary, those that diverge
_CAPTURED = 0.5  # of those that diverge, those beyond it
_HALF = 0.5


def boundary(evidence: Evidence) -> Rule | None:
    """The rule on one parameter that tells the diverged trials from the rest, if there is one."""
    diverged, rest = _diverged(evidence)
    if len(diverged) < _FEWEST or not rest:
        return None
    rule = best_rule(evidence, diverged, rest)
    if rule is None or rule.chance >= _LEVEL:
        return None
    return rule if rule.purity >= _PURITY and rule.captured >= _CAPTURED else None


def unstable(evidence: Evidence) -> list[Finding]:
    """One finding where more than a few trials diverge."""
    diverged, rest = _diverged(evidence)
    n = len(diverged) + len(rest)
    if len(diverged) < _FEWEST or len(diverged) < _SHARE * n:
        return []
    rule = boundary(evidence)
    share = len(diverged) / n
    sentence = f"{len(diverged)} of {count(n, 'trial')} diverged ({share:.0%}){_where(rule)}."
    changes = without(evidence, rule) if rule is not None else ()
    return [
        Finding(
            "unstable",
            "problem" if share > _HALF else "advice",
            sentence,
            weight=min(1.0, 0.5 + share),
            figures={"n_diverged": len(diverged), "n_trials": n, **_figures(rule)},
            parameters=(rule.parameter,) if rule is not None else (),
            trials=tuple(trial.number for trial in diverged),
            changes=changes,
            advice="" if changes else "training.clip_norm: 1.0, or training.warmup: 0.1",
        )
    ]


def _where(rule: Rule | None) -> str:
    if rule is None:
        return "; no single parameter tells them from the others"
    n_sound = rule.n_inside - rule.n_marked_inside
    if rule.captured == 1 and not n_sound:
        return f": exactly those with {rule.text}"
    rest = f"where {n_sound} of {rule.n_inside} did not" if n_sound else "where all did"
    return f", {rule.n_marked_inside} of them with {rule.text}, {rest}"


def _diverged(evidence: Evidence) -> tuple[list[TrialRecord], list[TrialRecord]]:
    trials = evidence.study.trials
    return (
        [trial for trial in trials if trial.outcome == "diverged"],
        [trial for trial in trials if trial.outcome in ("complete", "pruned")],
    )


def _figures(rule: Rule | None) -> dict[str, object]:
    if rule is None:
        return {}
    return {
        "side": rule.side,
        "boundary": rule.value,
        "n_beyond": rule.n_inside,
        "n_diverged_beyond": rule.n_marked_inside,
        "p": rule.chance,
    }
