"""The best trial compared with untuned baselines on the same folds."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tunecli.report.analysis.fold_test import LEVEL, moderated_p_value
from tunecli.report.analysis.rivals import Rival, rivals
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, Severity, finding
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import score


@finding("baseline", plot="baselines", needs_trials=0, of_several=True)
def baseline(evidence: Evidence) -> Iterator[Finding]:
    """Return one finding: how far the best trial is above or below the best baseline."""
    metric = evidence.study.metric
    known = [
        rival
        for rival in rivals(evidence.study, evidence.baselines)
        if math.isfinite(rival.values.get(metric, math.nan))
    ]
    if not known or not evidence.ranked:
        return
    best = evidence.ranked[0]
    strongest = max(known, key=lambda rival: evidence.sign * rival.values[metric])
    reached = strongest.values[metric]
    ahead = evidence.goodness(best) - evidence.sign * reached
    folds = strongest.folds.get(metric, ())
    alike = (trial.fold_scores for trial in evidence.ranked)
    p = moderated_p_value(best.fold_scores, folds, alike, evidence.n_valid_per_train)
    severity, verdict = _verdict(ahead, p)
    if severity == "note" and strongest.is_guess:
        return  # as anyone expects
    scores = f"{score(best.value)} against {score(reached, best.value)}"
    yield Finding(
        severity,
        f"The best trial {verdict} {plain(strongest.words)}: {scores}{_doubt(ahead, p)}.",
        weight=1.0 if severity != "note" else 0.1,
        figures={
            "best": best.value,
            "baselines": {rival.name: rival.values[metric] for rival in known},
            "p": None if math.isnan(p) else p,
        },
        trials=(best.number,),
        advice=_way_out(strongest) if severity != "note" else "",
    )


def _verdict(ahead: float, p: float) -> tuple[Severity, str]:
    """Return how the best trial compares, given the p-value of a difference over folds."""
    if ahead <= 0:
        return "problem", "is worse than" if ahead < 0 else "is no better than"
    if math.isnan(p):
        return "note", "scores better than"
    return ("advice", "is not reliably better than") if p >= LEVEL else ("note", "beats")


def _doubt(ahead: float, p: float) -> str:
    """Return what a lead without a p-value leaves open."""
    is_open = ahead > 0 and math.isnan(p)
    return ", but with a single validation part, the noise is unknown" if is_open else ""


def _way_out(rival: Rival) -> str:
    if rival.is_guess:
        return "check the data, the loss and the learning rate before you run more trials"
    return f"use {plain(rival.name)}, or search other models and preprocessing"
