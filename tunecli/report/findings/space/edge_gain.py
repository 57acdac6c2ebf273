"""What the trials at an end of a range gain over the others, compared with the noise of folds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from operator import sub

from tunecli.database.records import TrialRecord
from tunecli.report.analysis.fold_test import variance_factor
from tunecli.report.findings.evidence.evidence import Evidence, best_tenth

_QUANTILE = 1.96  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class EdgeGain:
    """By how much the best trial at an end of a range beats the best one elsewhere in it.

    Attributes:
        score: difference in score; positive if it is better at the end, 0 if all trials lie there.
        noise: standard error of that difference; None with less than two folds.
    """

    score: float
    noise: float | None

    @property
    def is_certain(self) -> bool:
        """Whether the gain is known to exceed what noise explains (at 95 %)."""
        return self.noise is not None and self.score > _QUANTILE * self.noise


def edge_gain(evidence: Evidence, name: str, end: float, share: float) -> EdgeGain:
    """Return the gain of a number's trials at an end of its range.

    Args:
        end: 0 for the low end, 1 for the high end.
        share: of the range that counts as its end.
    """
    trials = evidence.in_branch(name)
    at_end = [abs(place - end) <= share for place in evidence.positions_of(name, trials)]
    if all(at_end) or not any(at_end):
        return EdgeGain(0.0, None)
    best, other = trials[at_end.index(True)], trials[at_end.index(False)]
    difference = evidence.goodness(best) - evidence.goodness(other)
    return EdgeGain(difference, _noise(evidence, best_tenth(trials), best, other))


def _noise(
    evidence: Evidence, good: Sequence[TrialRecord], best: TrialRecord, other: TrialRecord
) -> float | None:
    """Return the standard error of the difference of two trials over the folds.

    Few folds tell little of two trials alone: if good trials differ by more, theirs counts.
    """
    first, *others = good
    own = _deviation(best, other)
    of_good = [d for trial in others if (d := _deviation(first, trial)) is not None]
    if own is None or not of_good:
        return None
    factor = variance_factor(len(best.fold_scores), evidence.n_valid_per_train)
    return math.sqrt(factor) * max(own, float(statistics.median(of_good)))


def _deviation(one: TrialRecord, other: TrialRecord) -> float | None:
    """Return the standard deviation over folds of the difference of two trials."""
    if len(one.fold_scores) < 2 or len(one.fold_scores) != len(other.fold_scores):
        return None
    deviation: float = statistics.stdev(map(sub, one.fold_scores, other.fold_scores))
    return deviation
