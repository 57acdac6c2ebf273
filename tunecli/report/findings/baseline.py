"""The best trial beside models that nobody tuned, on the same folds."""

from __future__ import annotations

import math
import statistics

from tunecli.report.analysis.fold_test import LEVEL, p_value
from tunecli.report.analysis.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Baseline, Evidence
from tunecli.report.findings.evidence.finding import Finding, Severity
from tunecli.report.phrases.wording import duration, plain, score
from tunecli.training.outcome.evaluation import GUESSES


def baseline(evidence: Evidence) -> list[Finding]:
    """One finding: how far the best trial is above the best baseline, or below it."""
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
    """Those that were computed; else what guessing scores, which is known of every data set."""
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
    """Whether the folds cannot tell which one is better."""
    p = p_value(best.fold_scores, baseline.fold_scores, evidence.n_valid_per_train)
    return p >= LEVEL


def _finding(
    evidence: Evidence, best: TrialRecord, strongest: Baseline, known: list[Baseline]
) -> Finding:
    reached = _mean(strongest)
    ahead = evidence.goodness(best) - evidence.sign * reached
    p = p_value(best.fold_scores, strongest.fold_scores, evidence.n_valid_per_train)
    scores = f"{score(best.value)} against {score(reached, best.value)}"
    name = _described(strongest)
    severity: Severity = "problem"
    advice = ""
    if ahead <= 0:
        verb = "does not reach" if ahead < 0 else "is no better than"
        sentence = f"The best trial {verb} {name}: {scores}."
        advice = _way_out(strongest)
    elif p >= LEVEL:
        severity = "advice"
        sentence = f"The folds cannot tell the best trial from {name}: {scores}."
        advice = _way_out(strongest)
    else:
        severity = "note"
        sentence = f"The best trial is better than {name}: {scores}."
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


def _described(baseline: Baseline) -> str:
    if baseline.name in GUESSES:
        return f"guessing the {plain(baseline.name)} every time"
    took = f", {duration(baseline.seconds)}" if baseline.seconds else ""
    return f"{plain(baseline.name)} (untuned{took})"


def _way_out(baseline: Baseline) -> str:
    if baseline.name in GUESSES:
        return "look at the data, the loss and the learning rate before more trials"
    return f"use {plain(baseline.name)}, or search other models and preprocessing"
