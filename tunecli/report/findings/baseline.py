"""The best trial compared with untuned baselines on the same folds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from tunecli.report.analysis.fold_test import LEVEL, p_value
from tunecli.report.findings.evidence.evidence import Baseline, Evidence
from tunecli.report.findings.evidence.finding import Finding, Severity, finding
from tunecli.report.phrases.wording import plain, score
from tunecli.training.outcome.evaluation import GUESSES


@finding("baseline", plot="baselines", needs_trials=0, of_several=True)
def baseline(evidence: Evidence) -> Iterator[Finding]:
    """Return one finding: how far the best trial is above or below the best baseline."""
    known = [b for b in _baselines(evidence) if b.fold_scores and math.isfinite(_mean(b))]
    if not known or not evidence.ranked:
        return
    best = evidence.ranked[0]
    strongest = max(known, key=lambda baseline: evidence.sign * _mean(baseline))
    reached = _mean(strongest)
    ahead = evidence.goodness(best) - evidence.sign * reached
    p = p_value(best.fold_scores, strongest.fold_scores, evidence.n_valid_per_train)
    severity, verdict = _verdict(ahead, p)
    if severity == "note" and strongest.name in GUESSES:
        return  # as anyone expects
    scores = f"{score(best.value)} against {score(reached, best.value)}"
    yield Finding(
        severity,
        f"The best trial {verdict} {_name(strongest)}: {scores}.",
        weight=1.0 if severity != "note" else 0.1,
        figures={
            "best": best.value,
            "baselines": {baseline.name: _mean(baseline) for baseline in known},
            "p": None if math.isnan(p) else p,
        },
        trials=(best.number,),
        advice=_way_out(strongest) if severity != "note" else "",
    )


def _verdict(ahead: float, p: float) -> tuple[Severity, str]:
    """Return how the best trial compares, given the p-value of a difference over folds."""
    if ahead <= 0:
        return "problem", "is worse than" if ahead < 0 else "is no better than"
    return ("advice", "is not reliably better than") if p >= LEVEL else ("note", "beats")


def _baselines(evidence: Evidence) -> tuple[Baseline, ...]:
    """Return the computed baselines; without any, the score of guessing, which is always known."""
    if evidence.baselines or evidence.study.summary is None:
        return evidence.baselines
    guess = evidence.study.summary.guess.get(evidence.study.metric)
    if guess is None:
        return ()
    name = "commonest class" if evidence.study.summary.classes else "mean"
    return (Baseline(name, (guess,)),)


def _mean(baseline: Baseline) -> float:
    return statistics.fmean(baseline.fold_scores)


def _name(baseline: Baseline) -> str:
    if baseline.name in GUESSES:
        return f"always predicting the {plain(baseline.name)}"
    return f"untuned {plain(baseline.name)}"


def _way_out(baseline: Baseline) -> str:
    if baseline.name in GUESSES:
        return "check the data, the loss and the learning rate before you run more trials"
    return f"use {plain(baseline.name)}, or search other models and preprocessing"
