"""The best trial compared with untuned baselines on the same folds."""

from __future__ import annotations

import math
import statistics

from tunecli.database.records import TrialRecord
from tunecli.report.analysis.fold_test import LEVEL, p_value
from tunecli.report.findings.evidence.evidence import Baseline, Evidence
from tunecli.report.findings.evidence.finding import Finding, Severity
from tunecli.report.phrases.wording import plain, score
from tunecli.training.outcome.evaluation import GUESSES


def baseline(evidence: Evidence) -> list[Finding]:
    """Return one finding: how far the best trial is above or below the best baseline."""
    known = [b for b in _baselines(evidence) if b.fold_scores and math.isfinite(_mean(b))]
    if not known or not evidence.ranked:
        return []
    best = evidence.ranked[0]
    strongest = max(known, key=lambda baseline: evidence.sign * _mean(baseline))
    ahead = evidence.goodness(best) - evidence.sign * _mean(strongest)
    if ahead > 0 and strongest.name in GUESSES and not _is_open(evidence, best, strongest):
        return []  # as anyone expects
    return [_finding(evidence, best, strongest, known)]


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


def _is_open(evidence: Evidence, best: TrialRecord, baseline: Baseline) -> bool:
    """Return whether the folds cannot decide which one is better."""
    p = p_value(best.fold_scores, baseline.fold_scores, evidence.n_valid_per_train)
    return p >= LEVEL


def _finding(
    evidence: Evidence, best: TrialRecord, strongest: Baseline, known: list[Baseline]
) -> Finding:
    reached = _mean(strongest)
    ahead = evidence.goodness(best) - evidence.sign * reached
    p = p_value(best.fold_scores, strongest.fold_scores, evidence.n_valid_per_train)
    scores = f"{score(best.value)} against {score(reached, best.value)}"
    name = _name(strongest)
    severity: Severity = "problem"
    advice = ""
    if ahead <= 0:
        verb = "is worse than" if ahead < 0 else "is no better than"
        sentence = f"The best trial {verb} {name}: {scores}."
        advice = _way_out(strongest)
    elif p >= LEVEL:
        severity = "advice"
        sentence = f"The best trial is not reliably better than {name}: {scores}."
        advice = _way_out(strongest)
    else:
        severity = "note"
        sentence = f"The best trial beats {name}: {scores}."
    return Finding(
        "baseline",
        severity,
        sentence,
        weight=1.0 if severity != "note" else 0.1,
        figures={
            "best": best.value,
            "baselines": {baseline.name: _mean(baseline) for baseline in known},
            "p": None if math.isnan(p) else p,
        },
        trials=(best.number,),
        advice=advice,
    )


def _name(baseline: Baseline) -> str:
    if baseline.name in GUESSES:
        return f"always predicting the {plain(baseline.name)}"
    return f"untuned {plain(baseline.name)}"


def _way_out(baseline: Baseline) -> str:
    if baseline.name in GUESSES:
        return "check the data, the loss and the learning rate before you run more trials"
    return f"use {plain(baseline.name)}, or search other models and preprocessing"
