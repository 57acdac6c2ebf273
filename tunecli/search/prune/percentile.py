"""Prune by a percentile of the complete trials, kept sorted at each evaluation.

The rule is that of Optuna's PercentilePruner and MedianPruner, which collect and partition the
scores of all complete trials at each evaluation of each trial. Here a trial costs the same however
many there are.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import takewhile

import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

PERCENTILES = frozenset({"MedianPruner", "PercentilePruner"})


class SortedCurves:
    """The curves of complete trials, sorted by score at each evaluation."""

    def __init__(self) -> None:
        self._curves: dict[int, Sequence[float]] = {}  # by number
        self._numbers: list[int] = []  # ascending
        self._scores: list[list[float]] = []  # by evaluation; ascending
        self._n_nan: list[int] = []  # by evaluation: scores that have no place in the order

    def add(self, number: int, curve: Sequence[float]) -> None:
        """Add the curve of trial `number`, which is complete."""
        self._curves[number] = curve
        insort(self._numbers, number)
        missing = len(curve) - len(self._scores)
        self._scores += [[] for _ in range(missing)]
        self._n_nan += [0] * missing
        for step, score in enumerate(curve):
            if math.isnan(score):
                self._n_nan[step] += 1
            else:
                insort(self._scores[step], score)

    def seen_by(self, visible: Container[int]) -> VisibleCurves:
        """Return the curves of the visible trials: all but some of the last in number."""
        hidden = list(takewhile(lambda number: number not in visible, reversed(self._numbers)))
        return VisibleCurves(self, [self._curves[number] for number in hidden])

    def at(self, step: int, without: Sequence[Sequence[float]]) -> tuple[Sequence[float], int]:
        """Return the scores at an evaluation, ascending, and how many are not numbers.

        Args:
            without: curves of these trials that do not count.
        """
        if step >= len(self._scores):
            return [], 0
        left_out = [curve[step] for curve in without if step < len(curve)]
        scores, n_nan = self._scores[step], self._n_nan[step]
        if left_out:
            scores = scores.copy()
        for score in left_out:
            if math.isnan(score):
                n_nan -= 1
            else:
                del scores[bisect_left(scores, score)]
        return scores, n_nan

    def __len__(self) -> int:
        return len(self._numbers)


@dataclass(frozen=True)
class VisibleCurves:
    """The curves that one trial may be compared with.

    Attributes:
        hidden: those that it may not be compared with.
    """

    curves: SortedCurves
    hidden: Sequence[Sequence[float]]

    def __len__(self) -> int:
        return len(self.curves) - len(self.hidden)

    def at(self, step: int) -> tuple[Sequence[float], int]:
        """Return the scores at an evaluation, ascending, and how many more are not numbers."""
        return self.curves.at(step, self.hidden)


class JudgedStudy(optuna.Study):
    """A study as it looks to one running trial.

    Attributes:
        complete: the complete trials that it is compared with.
    """

    complete: VisibleCurves


@dataclass(frozen=True)
class Percentile(BasePruner):
    """Stop a trial whose best score so far is worse than a percentile of the complete trials.

    Attributes are Optuna's arguments, with the defaults of its MedianPruner.
    """

    percentile: float = 50.0
    n_startup_trials: int = 5
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = 1

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether a trial stops after its last evaluation.

        Args:
            study: a `JudgedStudy`.
        """
        assert isinstance(study, JudgedStudy)
        curve = [*trial.intermediate_values.values()]
        step = len(curve) - 1
        n_complete = len(study.complete)
        if n_complete == 0 or n_complete < self.n_startup_trials or not self._judges_at(step):
            return False
        maximizes = study.direction == StudyDirection.MAXIMIZE
        defined = [score for score in curve if not math.isnan(score)]
        if not defined:
            return True
        scores, n_nan = study.complete.at(step)
        if not scores or len(scores) + n_nan < self.n_min_trials:
            return False
        if maximizes:
            return max(defined) < percentile(scores, 100 - self.percentile)
        return min(defined) > percentile(scores, self.percentile)

    def _judges_at(self, step: int) -> bool:
        after = step - self.n_warmup_steps
        return after >= 0 and after % self.interval_steps == 0


def percentile(scores: Sequence[float], percent: float) -> float:
    """Return a percentile of ascending scores, to the same bits as `numpy.percentile`.

    Between two scores it interpolates linearly, from the nearer one. It is NaN next to an infinite
    score, and then neither better nor worse than any score.
    """
    place = (len(scores) - 1) * (percent / 100)
    left = math.floor(place)
    low, high = scores[left], scores[min(left + 1, len(scores) - 1)]
    share = place - left
    if share < 0.5:
        return low + (high - low) * share
    return high - (high - low) * (1 - share)
