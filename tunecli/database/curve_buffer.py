"""The evaluations of running trials that are not written to the study database yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from tunecli.training.outcome.evaluation import Evaluation


class CurveBuffer:
    """Collects evaluations until they are written.

    Attributes:
        means: mean score over the folds that take part, by trial and step.
        evaluations: evaluations of single folds, each with its trial and the number of the fold.
        begun_again: trials whose written means no longer count, because more folds have joined.
    """

    def __init__(self) -> None:
        self.means: dict[tuple[int, int], float] = {}
        self.evaluations: list[tuple[tuple[int, int], Evaluation]] = []
        self.begun_again: set[int] = set()
        self._n_known: Counter[tuple[int, int]] = Counter()  # by trial and fold, written or not

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.means

    def add(self, number: int, step: int, folds: Sequence[Evaluation]) -> None:
        """Add an evaluation of the first folds of trial `number`, or of all.

        With more folds, steps begin at 0 again, and evaluations of earlier folds are known.
        """
        if step == 0 and self._n_known[number, 0]:
            self._forget_means(number)
            self.begun_again.add(number)
        self.means[number, step] = fmean(evaluation.score for evaluation in folds)
        for fold, evaluation in enumerate(folds):
            if step >= self._n_known[number, fold]:
                self._n_known[number, fold] = step + 1
                self.evaluations.append(((number, fold), evaluation))

    def forget(self, number: int) -> None:
        """Forget a trial, whose attempt has ended."""
        self._forget_means(number)
        self.evaluations = [one for one in self.evaluations if one[0][0] != number]
        self.begun_again.discard(number)
        for key in [key for key in self._n_known if key[0] == number]:
            del self._n_known[key]

    def clear(self) -> None:
        """Forget what has been written."""
        self.means, self.evaluations, self.begun_again = {}, [], set()

    def _forget_means(self, number: int) -> None:
        self.means = {key: mean for key, mean in self.means.items() if key[0] != number}
