"""The trials that no other one beats: the best, or with several objectives the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.database.trials import Trial
from tunecli.study_file.settings.settings import Direction
from tunecli.training.outcome.objectives import dominates


class FrontTracker:
    """Takes trials as they end; of two with equal values it keeps the first in number.

    Args:
        directions: of the objectives, in their order.
        trials: that have ended, or not.
    """

    def __init__(self, directions: Sequence[Direction], trials: Sequence[Trial] = ()) -> None:
        self._directions = directions
        self._trials: list[Trial] = []
        for trial in trials:
            self.take(trial)

    def take(self, trial: Trial) -> bool:
        """Whether a trial that has ended is on the front; those that it beats leave."""
        if not trial.values or any(self._yields_to(trial, other) for other in self._trials):
            return False
        kept = [other for other in self._trials if not self._yields_to(other, trial)]
        self._trials = [*kept, trial]
        return True

    def __contains__(self, trial: Trial) -> bool:
        return any(trial is other for other in self._trials)

    @property
    def first(self) -> Trial | None:
        """The best in the first objective."""
        sign = -1.0 if self._directions[0] == "maximize" else 1.0
        return min(self._trials, key=lambda trial: sign * trial.values[0], default=None)

    def _yields_to(self, trial: Trial, other: Trial) -> bool:
        if trial.values == other.values:
            return other.number < trial.number
        return dominates(other.values, trial.values, self._directions)
