"""Which trials are tied with the best, and which of them is the simplest."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tunecli.database.records import TrialRecord
from tunecli.report.analysis.fold_test import p_value
from tunecli.report.analysis.ranking import noise_of
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.phrases.wording import duration
from tunecli.study_file.text.counts import count

_WORTH = 0.9  # share of the best's weights or time; a smaller saving does not count


def simplest(evidence: Evidence) -> TrialRecord | None:
    """Return the tied trial with the fewest weights, then the fastest; None without a tie.

    Only trials within one standard error of the best count (Breiman et al., Classification and
    Regression Trees, 1984, section 3.4.3): few folds also tie clearly worse trials.
    """
    if not evidence.tied:
        return None
    best = evidence.tied[0]
    least = evidence.goodness(best) - (noise_of(best) or 0.0)
    return min((t for t in evidence.tied if evidence.goodness(t) >= least), key=_cost)


@finding("ties", plot="leaders")
def ties(evidence: Evidence) -> Iterator[Finding]:
    """Return a finding if other trials are tied with the best."""
    n_others = len(evidence.tied) - 1
    recommended = simplest(evidence)
    if n_others < 1 or recommended is None:
        return
    best, ratio = evidence.tied[0], evidence.n_valid_per_train
    is_simpler = _is_simpler(recommended, best)
    if is_simpler:
        saving = _saving(recommended, best)
        sentence = (
            f"Trial {recommended.number} is tied with the best (trial {best.number}) and simpler: "
            f"{saving}."
        )
    else:
        are = "trials are" if n_others > 1 else "trial is"
        sentence = (
            f"{n_others:,} other {are} tied with the best (trial {best.number}) over "
            f"{count(len(best.fold_scores), 'fold')}, but no simpler one is within one standard "
            "error of it."
        )
    yield Finding(
        "advice" if is_simpler else "note",
        sentence,
        weight=0.5 if is_simpler else 0.2,
        figures={
            "n_tied": n_others,
            "recommended": recommended.number,
            "p": p_value(best.fold_scores, recommended.fold_scores, ratio),
        },
        trials=tuple(trial.number for trial in evidence.tied),
        advice=f"see --trial {recommended.number}" if is_simpler else f"use trial {best.number}",
    )


def _cost(trial: TrialRecord) -> tuple[float, float]:
    return (trial.n_weights or math.inf, trial.seconds or math.inf)


def _is_simpler(one: TrialRecord, other: TrialRecord) -> bool:
    if one is other:
        return False
    if one.n_weights and other.n_weights and one.n_weights < other.n_weights:
        return one.n_weights < _WORTH * other.n_weights
    return bool(one.seconds and other.seconds and one.seconds < _WORTH * other.seconds)


def _saving(one: TrialRecord, best: TrialRecord) -> str:
    """Return what `one` needs less of; only for trials of which `_is_simpler` holds."""
    if one.n_weights and best.n_weights and one.n_weights != best.n_weights:
        return f"{one.n_weights:,} weights instead of {best.n_weights:,}"
    return f"{duration(one.seconds or 0.0)} instead of {duration(best.seconds or 0.0)} of training"
