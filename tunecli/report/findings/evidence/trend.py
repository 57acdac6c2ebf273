"""Whether the score still rises at an end of a range: a smooth curve near that end.

A line through the whole range would rise wherever bad values lie at its other end, even if the
score is flat or falls at this one. So a parabola is fitted to the better trials near the end, the
nearer ones with more weight (local regression: Cleveland and Devlin, JASA 83, 1988), and what
counts is its slope at the end itself.

The curve is that of the branch of the best trial, such as its model; trials of other branches have
a curve of their own. All trials together show what the other parameters do. Pruned trials count
with their last mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.effects import other_columns
from tunecli.report.findings.evidence.evidence import Evidence

Array = NDArray[np.float64]

_BETTER = 0.85  # share of the branch's trials that count, from the best
_FEWEST = 8  # trials near the end, in the branch
_REACH = 0.8  # distance from the end at which the weight is zero, as a share of the range
_TRIALS_PER_COLUMN = 3
_DEGREE = 2


@dataclass(frozen=True)
class Trend:
    """How steeply the score changes with a number at an end of its range.

    Attributes:
        slope: in units of the score over the width of the range; positive if the score still
            improves outwards.
        error: standard error of the slope.
        n_free: degrees of freedom of the residual.
    """

    slope: float
    error: float
    n_free: float

    @property
    def chance(self) -> float:
        """Probability of a slope at least this steep if the true slope is zero."""
        if self.n_free < 1 or self.error <= 0:
            return 1.0
        return float(stdtr(self.n_free, -self.slope / self.error))


def trend_at(evidence: Evidence, name: str, end: float) -> Trend | None:
    """Return the trend of a number at an end of its range; None if too few trials lie near it.

    Args:
        end: 0 for the low end, 1 for the high end.
    """
    trials = _better(evidence, name)
    away = abs(np.array(evidence.positions_of(name, trials)) - end)
    is_inside = evidence.is_in_branch(name, trials)
    weights = _weights(away, away[is_inside])
    near = weights > 0
    n_powers = min(len(set(away[near & is_inside])) - 1, _DEGREE)
    if n_powers < 1 or (near & is_inside).sum() < _FEWEST:
        return None
    kept = [trial for trial, is_near in zip(trials, near, strict=True) if is_near]
    powers = -(away[near, None] ** np.arange(1, n_powers + 1))
    inside = is_inside[near, None]
    elsewhere = np.hstack([powers, np.ones_like(inside)])[:, : 0 if inside.all() else None]
    own = np.hstack([powers * inside, elsewhere * ~inside])
    return _slope(evidence, name, kept, own, weights[near])


def _better(evidence: Evidence, name: str) -> list[TrialRecord]:
    """Return the trials that are as good as the better part of the branch; best first."""
    trials = evidence.judged(name)
    inside = [
        t for t, is_in in zip(trials, evidence.is_in_branch(name, trials), strict=True) if is_in
    ]
    last = max(math.ceil(_BETTER * len(inside)), min(_FEWEST, len(inside)))
    worst = evidence.goodness(inside[last - 1])
    return [trial for trial in trials if evidence.goodness(trial) >= worst]


def _weights(away: Array, inside: Array) -> Array:
    """Return tricube weights by the distance from the end; equal ones for two values in all.

    A parabola needs three values, so few whole numbers are all near the end.
    """
    distinct = np.unique(inside)
    if len(distinct) < _DEGREE + 1:
        return np.ones_like(away)
    reach = max(_REACH, 1.01 * float(distinct[_DEGREE]))
    weights: Array = np.clip(1 - (away / reach) ** 3, 0, None) ** 3
    return weights


def _slope(
    evidence: Evidence,
    name: str,
    trials: Sequence[TrialRecord],
    own: Array,
    weights: Array,
) -> Trend:
    """Return the coefficient of the first column by weighted least squares."""
    score = evidence.all_goodness(trials)
    score = score - score.mean()
    others = other_columns(
        evidence, trials, name, score, own.shape[1], trials_per_column=_TRIALS_PER_COLUMN
    )
    design = np.hstack([own, np.ones((len(trials), 1)), others])
    weighted = design * weights[:, None]
    inverse = np.linalg.pinv(design.T @ weighted)
    fitted = inverse @ weighted.T @ score
    n_free = float(weights.sum()) - np.linalg.matrix_rank(design * np.sqrt(weights)[:, None])
    variance = float(weights @ (score - design @ fitted) ** 2) / max(n_free, 1.0)
    covariance = inverse @ weighted.T @ weighted @ inverse
    return Trend(float(fitted[0]), math.sqrt(variance * max(covariance[0, 0], 0.0)), n_free)
