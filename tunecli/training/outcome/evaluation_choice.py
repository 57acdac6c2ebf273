"""Choose the best evaluation of a trial by its mean curve, which may be smoothed.

The smoothed score of an evaluation is the median of the scores in a window around it. At an end
of the curve, the window has the evaluations that exist. Of an even number, the worse of the two
middle scores counts, so a smoothed score is always the score of an evaluation in the window. The
evaluation that has the best smoothed score is chosen. So a trial's value is the best of the
smoothed curve, and the scores of its folds, its metrics and its weights are of that evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median_low

from tunecli.study_file.settings.settings import Direction, TrialConfig


class EvaluationChoice:
    """Chooses the best evaluation of a curve while the curve grows.

    Args:
        smooth: number of evaluations in a window, odd; 1 does not smooth.

    Attributes:
        smoothed: the smoothed score of each evaluation when it was the last one. These scores do
            not change when later evaluations come, so early stopping and pruners judge by them.
    """

    def __init__(self, direction: Direction, smooth: int = 1) -> None:
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._n_aside = smooth // 2
        self._curve: list[float] = []  # larger is better
        self._settled: int | None = None  # the best median of the windows that are whole
        self.smoothed: list[float] = []

    def __len__(self) -> int:
        return len(self._curve)

    def add(self, score: float) -> None:
        """Add the score of the next evaluation."""
        self._curve.append(self._sign * score)
        last = len(self) - 1
        if last >= self._n_aside:
            self._settled = self._better(self._settled, self._median(last - self._n_aside))
        self.smoothed.append(self._sign * self._curve[self._median(last)])

    @property
    def step(self) -> int | None:
        """Index of the chosen evaluation, the earliest of equals; None before the first."""
        best = self._settled
        for centre in range(max(len(self) - self._n_aside, 0), len(self)):
            best = self._better(best, self._median(centre))
        return best

    @property
    def candidates(self) -> frozenset[int]:
        """Evaluations that are chosen now, or may be once there are more evaluations."""
        settled = frozenset() if self._settled is None else frozenset({self._settled})
        recent = range(max(len(self) - 2 * self._n_aside, 0), len(self))
        return settled.union(at for at in recent if self._better(self._settled, at) == at)

    def _better(self, one: int | None, other: int) -> int:
        """Return the better of two evaluations, the first of equals."""
        return other if one is None or self._curve[other] > self._curve[one] else one

    def _median(self, centre: int) -> int:
        """Return the evaluation whose score is the median around `centre`, the first of equals."""
        start = max(centre - self._n_aside, 0)
        window = self._curve[start : centre + self._n_aside + 1]
        return start + window.index(median_low(window))


def choice_for(config: TrialConfig, scores: Iterable[float] = ()) -> EvaluationChoice:
    """Return the choice of a trial.

    Args:
        scores: its mean curve so far.
    """
    choice = EvaluationChoice(config.objective.direction, config.training.smooth_score)
    for score in scores:
        choice.add(score)
    return choice
