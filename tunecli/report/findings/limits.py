"""How many trials break a limit of the study, which limit, and what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.findings.evidence.separation import common_cause
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import joined
from tunecli.study_file.text.counts import count

_MANY = 0.5  # share of the trials
_PURITY = 0.95  # the best trials often lie close to a limit: what meets it must not be cut off


@finding("limits", plot="history", needs_trials=0, of_several=True)
def limits(evidence: Evidence) -> Iterator[Finding]:
    """Return a finding if any trial is infeasible."""
    beyond, ended = evidence.ended("infeasible"), evidence.ended()
    if not beyond:
        return
    broken = Counter(
        limit.partition(" of ")[0] for trial in beyond for limit in trial.reason.split(" and ")
    )
    which = joined([plain(name) for name, _ in broken.most_common()])
    is_all = len(beyond) == len(ended)
    cause = common_cause(evidence, beyond, evidence.ended("complete"), _PURITY)
    breaks = "breaks" if len(beyond) == 1 else "break"
    if is_all:
        none = f"No trial of {len(ended):,} meets" if len(ended) > 1 else "The only trial breaks"
        sentence = f"{none} the limits. Broken limits: {which}."
    else:
        of_all = f"{len(beyond)} of {count(len(ended), 'trial')}"
        trials = count(len(beyond), "trial") if cause.rule else of_all
        sentence = f"{trials} {breaks} a limit ({which})."
    share = len(beyond) / len(ended)
    yield Finding(
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
        advice="search smaller models, or relax the limit" if share >= _MANY else "",
    )
