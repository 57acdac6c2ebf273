"""What the mean over all folds is expected to be, if only the first folds are scored.

Folds differ in difficulty by as much as good trials do. A trial that was stopped before all of its
folds had joined has a mean over the first ones, which a sampler must not take for one over all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from tunecli.study_file.settings.fold_stages import FEWEST, earlier_stages


class FoldGains:
    """By how much the mean over all folds exceeds that over the first ones, in complete trials."""

    def __init__(self) -> None:
        self._sums: defaultdict[int, float] = defaultdict(float)  # by number of first folds
        self._n_trials = 0

    def add(self, fold_scores: Sequence[float]) -> None:
        """Add the scores of all folds of a complete trial."""
        if len(fold_scores) >= FEWEST:
            self._n_trials += 1
            for n_joined in earlier_stages(len(fold_scores)):
                self._sums[n_joined] += fmean(fold_scores) - fmean(fold_scores[:n_joined])

    def mean(self, n_joined: int) -> float:
        """Return the mean difference for the first folds over the complete trials.

        It is 0 for all folds, and while no trial is complete.
        """
        return self._sums[n_joined] / self._n_trials if n_joined in self._sums else 0.0
