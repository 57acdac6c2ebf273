"""Keep the out-of-fold predictions of a study's best trials, for ensembles and adjustments."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from itertools import accumulate

from tunecli.database.trials import Trial
from tunecli.study_file.settings.settings import Direction

MOST_BYTES = 2**28
"""Largest size of all kept predictions of a study; those of the best trial are kept whatever their
size, unless none are to be kept."""

_Place = tuple[float, int, int]  # value, smaller is better; number; bytes


class BestPredictions:
    """Which trials' predictions stay: the best in the first objective, as many as fit.

    Which these are does not depend on the order in which the trials end: those before a trial in
    the order of their values decide whether it fits, whether they stay or not.

    Args:
        n: largest number of trials.
        trials: the trials of earlier calls.
        sizes: bytes of their predictions, by number, whether or not these stayed. A trial that is
            not among them had none.
    """

    def __init__(
        self,
        n: int,
        direction: Direction,
        trials: Sequence[Trial],
        sizes: Mapping[int, int],
    ) -> None:
        self._n = n
        self._sign = -1.0 if direction == "maximize" else 1.0
        self._ranking: list[_Place] = []
        self._kept: set[int] = set()
        for trial in trials:
            self.take(trial, sizes.get(trial.number, 0))

    def take(self, trial: Trial, n_bytes: int) -> set[int]:
        """Take a trial that has ended, with predictions of a size; 0 for none.

        Returns:
            the numbers of the trials whose predictions do not stay (any more), its own included.
        """
        if not trial.values or not n_bytes:
            return {trial.number}
        insort(self._ranking, (self._sign * trial.values[0], trial.number, n_bytes))
        sizes = accumulate(size for _, _, size in self._ranking)
        n_fitting = sum(size <= MOST_BYTES for size in sizes)
        n_kept = min(max(n_fitting, 1), self._n)
        before = self._kept | {trial.number}
        self._kept = {number for _, number, _ in self._ranking[:n_kept]}
        return before - self._kept
