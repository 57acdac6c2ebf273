"""How many trials are beyond a limit of the study, which limit, and what those have in common."""

from __future__ import annotations

from collections import Counter

from tunecli.report.findings.common_cause import common_cause
from tunecli.report.findings.evidence import Evidence
from tunecli.report.findings.finding import Finding
from tunecli.report.wording import plain
from tunecli.study_file.counts import count

_MANY = 0.5  # share of the trials
_PURITY = 0.95  # the best trials often lie close to a limit: what keeps to it must not be cut off


def limits(evidence: Evidence) -> list[Finding]:
    """One finding where any trial is infeasible."""
    ended = [trial for trial in evidence.study.trials if trial.outcome is not None]
    beyond = [trial for trial in ended if trial.outcome == "infeasible"]
    if not beyond:
        return []
    broken = Counter(
        limit.partition(" of ")[0] for trial in beyond for limit in trial.reason.split(" and ")
    )
    which = ", ".join(f"{plain(name)} {n:,}" for name, n in broken.most_common())
    is_all = len(beyond) == len(ended)
    trials = count(len(ended), "trial")
    sentence = (
        f"None of {trials} keeps to the limits (beyond: {which})."
        if is_all
        else f"{len(beyond)} of {trials} are beyond a limit: {which}."
    )
    complete = [trial for trial in ended if trial.outcome == "complete"]
    cause = common_cause(evidence, beyond, complete, _PURITY)
    share = len(beyond) / len(ended)
    return [
        Finding(
            "limits",
            "problem" if is_all else "advice" if share >= _MANY else "note",
            sentence + cause.sentence,
            weight=min(1.0, 0.3 + share),
            figures={
                "n_beyond": len(beyond),
                "n_ended": len(ended),
                "limits": dict(broken),
                "rule": cause.rule,
            },
            parameters=cause.parameters,
            trials=tuple(trial.number for trial in beyond),
            changes=cause.changes,
            advice="search smaller models, or widen the limit" if share >= _MANY else "",
        )
    ]
