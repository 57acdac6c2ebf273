"""Which trials the folds cannot tell from the best, and the simplest of them."""

from __future__ import annotations

import math

from tunecli.report.findings.evidence import Evidence
from tunecli.report.findings.finding import Finding
from tunecli.report.fold_test import p_value
from tunecli.report.ranking import noise_of
from tunecli.report.records import TrialRecord
from tunecli.report.wording import duration, score
from tunecli.study_file.counts import count

_WORTH = 0.9  # of the best's weights or time; a smaller saving is no reason


def simplest(evidence: Evidence) -> TrialRecord | None:
    """Of the tied trials the one with the fewest weights, then the fastest; None without a tie.

    Only among those within one standard error of the best (Breiman et al., Classification and
    Regression Trees, 1984, section 3.4.3): a few folds tie trials that nobody would take instead.
    """
    if not evidence.tied:
        return None
    best = evidence.tied[0]
    least = evidence.goodness(best) - (noise_of(best) or 0.0)
    return min((t for t in evidence.tied if evidence.goodness(t) >= least), key=_cost)


def ties(evidence: Evidence) -> list[Finding]:
    """One finding where the best trial is not alone."""
    n_others = len(evidence.tied) - 1
    recommended = simplest(evidence)
    if n_others < 1 or recommended is None:
        return []
    best, ratio = evidence.tied[0], evidence.n_valid_per_train
    is_simpler = _is_simpler(recommended, best)
    sentence = (
        f"{count(len(best.fold_scores), 'fold')} cannot tell {count(n_others, 'other trial')} "
        f"from trial {best.number}"
    )
    if is_simpler:
        saving = _saving(recommended, best)
        sentence += f"; the simplest that comes as close is trial {recommended.number} ({saving})."
    else:
        sentence += "; none that comes as close is simpler."
    return [
        Finding(
            "ties",
            "advice" if is_simpler else "note",
            sentence,
            weight=0.5 if is_simpler else 0.2,
            figures={
                "n_tied": n_others,
                "recommended": recommended.number,
                "p": p_value(best.fold_scores, recommended.fold_scores, ratio),
            },
            trials=tuple(trial.number for trial in evidence.tied),
            advice=f"see --trial {recommended.number}" if is_simpler else "take any of them",
        )
    ]


def _cost(trial: TrialRecord) -> tuple[float, float]:
    return (trial.n_weights or math.inf, trial.seconds or math.inf)


def _is_simpler(one: TrialRecord, other: TrialRecord) -> bool:
    if one is other:
        return False
    if one.n_weights and other.n_weights and one.n_weights < other.n_weights:
        return one.n_weights < _WORTH * other.n_weights
    return bool(one.seconds and other.seconds and one.seconds < _WORTH * other.seconds)


def _saving(one: TrialRecord, best: TrialRecord) -> str:
    parts = [score(one.value, best.value)]
    if one.n_weights and best.n_weights and one.n_weights != best.n_weights:
        parts.append(f"{one.n_weights:,} weights instead of {best.n_weights:,}")
    elif one.seconds and best.seconds:
        parts.append(f"{duration(one.seconds)} instead of {duration(best.seconds)}")
    return ", ".join(parts)
