"""How many trials failed, of what, and what those have in common."""

from __future__ import annotations

from collections import Counter

from tunecli.report.findings.common_cause import common_cause
from tunecli.report.findings.evidence import Evidence
from tunecli.report.findings.finding import Finding
from tunecli.report.wording import plain, shortened
from tunecli.study_file.counts import count
from tunecli.training.reasons import ERROR, alike

_PROBLEM = 0.2  # share of the trials
_PURITY = 0.6
_LONGEST = 120  # characters of a reason


def failures(evidence: Evidence) -> list[Finding]:
    """A finding for the commonest reason of failed trials, with the others counted."""
    failed = [t for t in evidence.study.trials if t.outcome == "failed"]
    ended = [t for t in evidence.study.trials if t.outcome is not None]
    if not failed:
        return []
    (reason, n_alike), *_ = Counter(alike(t.reason) for t in failed).most_common(1)
    same = [trial for trial in failed if alike(trial.reason) == reason]
    why = shortened(
        plain(same[-1].reason.removeprefix(f"{ERROR}: ") or "no reason is stored"), _LONGEST
    ).rstrip(".")
    sentence = f"{len(failed)} of {count(len(ended), 'trial')} failed"
    sentence += f", {n_alike} of one cause: {why}." if len(failed) > n_alike else f": {why}."
    if len(failed) == 1:
        sentence = f"1 of {count(len(ended), 'trial')} failed: {why}."
    others = [trial for trial in ended if trial.outcome != "failed"]
    cause = common_cause(evidence, same, others, _PURITY)
    share = len(failed) / len(ended)
    return [
        Finding(
            "failures",
            "problem" if share >= _PROBLEM else "advice",
            sentence + cause.sentence,
            weight=min(1.0, 0.3 + share),
            figures={
                "n_failed": len(failed),
                "n_ended": len(ended),
                "reasons": dict(Counter(alike(trial.reason) for trial in failed)),
                "rule": cause.rule,
            },
            parameters=cause.parameters,
            trials=tuple(trial.number for trial in failed),
            changes=cause.changes,
            advice=f"see --trial {same[-1].number}",
        )
    ]
