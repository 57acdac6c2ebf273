"""The best trial compared with untuned baselines on the same folds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tunecli.report.analysis.fold_test import LEVEL, p_value
from tunecli.report.analysis.guessing import beats_guessing
from tunecli.report.analysis.rivals import Rival, rivals
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, Severity, finding
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import score


@finding("baseline", plot="baselines", needs_trials=0, of_several=True)
def baseline(evidence: Evidence) -> Iterator[Finding]:
    """Return one finding: how far the best trial is above or below what it must beat.

    That is guessing; once the best trial beats it, it is the best untuned model.
    """
    metric = evidence.study.metric
    known = [
        rival
        for rival in rivals(evidence.study, evidence.baselines)
        if math.isfinite(rival.values.get(metric, math.nan))
    ]
    if not known or not evidence.ranked:
        return
    guesses = [rival for rival in known if rival.is_guess]
    if guesses and not evidence.is_guessing_beaten:
        yield _unbeaten(evidence, guesses[0], known)
        return
    strongest = max(known, key=lambda rival: evidence.sign * rival.values[metric])
    if not strongest.is_guess:  # that guessing is beaten is as anyone expects
        yield _compared(evidence, strongest, known, _way_out(evidence, strongest))


def _unbeaten(evidence: Evidence, guess: Rival, known: Sequence[Rival]) -> Finding:
    """Return the finding where the best trial does not beat guessing: whether a model does."""
    models = [rival for rival in known if not rival.is_guess]
    better = [rival for rival in models if _beats_guessing(evidence, rival)]
    if better:
        strongest = max(better, key=lambda one: evidence.sign * one.values[evidence.study.metric])
        told = f"Reliably better than guessing: {plain(strongest.words)}"
        advice = f"check the loss and the learning rate, or use {plain(strongest.name)}"
    else:
        told = "No untuned model is reliably better than guessing"
        advice = "check the data, the loss and the learning rate before you run more trials"
    found = _compared(evidence, guess, known, advice)
    if not models:
        return found
    return replace(found, sentence=f"{found.sentence} {told}.")


def _compared(evidence: Evidence, rival: Rival, known: Sequence[Rival], advice: str) -> Finding:
    """Return the finding that compares the best trial with one of its known rivals."""
    metric, best = evidence.study.metric, evidence.ranked[0]
    reached = rival.values[metric]
    ahead = evidence.goodness(best) - evidence.sign * reached
    folds = rival.folds.get(metric) or (reached,) * len(best.fold_scores)
    alike = (trial.fold_scores for trial in evidence.ranked)
    p = p_value(best.fold_scores, folds, alike, evidence.n_valid_per_train)
    severity, verdict = _verdict(ahead, p)
    scores = f"{score(best.value)} against {score(reached, best.value)}"
    return Finding(
        severity,
        f"The best trial {verdict} {plain(rival.words)}: {scores}{_doubt(ahead, p)}.",
        weight=1.0 if severity != "note" else 0.1,
        figures={
            "best": best.value,
            "baselines": {one.name: one.values[metric] for one in known},
            "p": None if math.isnan(p) else p,
        },
        trials=(best.number,),
        advice=advice if severity != "note" else "",
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


def _way_out(evidence: Evidence, rival: Rival) -> str:
    """Return what to do if an untuned model is as good; it is of use if it beats guessing."""
    use = f"use {plain(rival.name)}, or " if _beats_guessing(evidence, rival) else ""
    return f"{use}search other models and preprocessing"


def _beats_guessing(evidence: Evidence, rival: Rival) -> bool:
    metric = evidence.study.metric
    return beats_guessing(evidence.study, rival.folds.get(metric, ()), rival.values[metric])
