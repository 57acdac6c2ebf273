"""How many trials failed, why, and what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.findings.evidence.separation import common_cause
from tunecli.report.phrases.foreign_text import plain, shortened
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.failure_reasons import ERROR, alike

_PROBLEM = 0.2  # share of the trials
_PURITY = 0.6
_LONGEST = 120  # characters of a reason


@finding("failures", plot="history", needs_trials=0, of_several=True)
def failures(evidence: Evidence) -> Iterator[Finding]:
    """Return a finding on the most common reason of failed trials."""
    failed, ended = evidence.ended("failed"), evidence.ended()
    if not failed:
        return
    (reason, n_alike), *_ = Counter(alike(t.reason) for t in failed).most_common(1)
    same = [trial for trial in failed if alike(trial.reason) == reason]
    why = shortened(
        plain(same[-1].reason.removeprefix(f"{ERROR}: ") or "no reason was recorded"), _LONGEST
    ).rstrip(".")
    others = [trial for trial in ended if trial.outcome != "failed"]
    cause = common_cause(evidence, same, others, _PURITY)
    sentence = _sentence(n_alike, len(failed), len(ended), is_explained=cause.rule is not None)
    share = len(failed) / len(ended)
    yield Finding(
        "problem" if share >= _PROBLEM else "advice",
        f"{sentence}: {why}.{cause.sentence}",
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


def _sentence(n_alike: int, n_failed: int, n_ended: int, *, is_explained: bool) -> str:
    """Return how many trials failed; shorter where a rule with its own number follows."""
    if n_alike == n_failed:
        return f"{count(n_failed, 'trial')} failed" if is_explained else _of(n_failed, n_ended)
    if is_explained:
        return f"{count(n_alike, 'trial')} failed for the same reason"
    if n_alike == 1:
        return f"{_of(n_failed, n_ended)}, each for a different reason, for example"
    return f"{n_alike} of {n_failed} failed trials have the same reason"


def _of(n_failed: int, n_ended: int) -> str:
    return f"{n_failed} of {count(n_ended, 'trial')} failed"
