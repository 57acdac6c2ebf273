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
from tunecli.report.findings.evidence.positions import number_position

_QUANTILE = 1.96  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class EdgeGain:
    """By how much the best trial at an end of a range beats the best one elsewhere in it.

    Attributes:
        score: difference in score; positive if it is better at the end, 0 if all trials lie there.
        noise: standard error of the difference of two good trials; None with less than two folds.
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
    kind, trials = evidence.numeric[name], evidence.having(name)
    at_end = [abs(number_position(kind, trial, name) - end) <= share for trial in trials]
    if all(at_end) or not any(at_end):
        return EdgeGain(0.0, None)
    best, other = trials[at_end.index(True)], trials[at_end.index(False)]
    return EdgeGain(evidence.goodness(best) - evidence.goodness(other), _noise(evidence, trials))


def _noise(evidence: Evidence, trials: Sequence[TrialRecord]) -> float | None:
    """Return the standard error of the difference of two trials, the median over the good ones."""
    first, *others = best_tenth(trials)
    n_splits = len(first.fold_scores)
    deviations: list[float] = [
        statistics.stdev(map(sub, first.fold_scores, other.fold_scores))
        for other in others
        if n_splits > 1 and len(other.fold_scores) == n_splits
    ]
    if not deviations:
        return None
    factor = variance_factor(n_splits, evidence.n_valid_per_train)
    return math.sqrt(factor) * float(statistics.median(deviations))
