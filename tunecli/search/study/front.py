"""Track the best trial of a running search, or with several objectives its Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.database.trials import Trial
from tunecli.study_file.settings.settings import Direction
from tunecli.training.outcome.objectives import dominates


class FrontTracker:
    """The trials that no other trial beats; of equal ones only the first in number.

    Args:
        directions: directions of the objectives, in their order.
        trials: trials to take at once; those that have not ended are ignored.
    """

    def __init__(self, directions: Sequence[Direction], trials: Sequence[Trial] = ()) -> None:
        self._directions = directions
        self._trials: list[Trial] = []
        for trial in trials:
            self.take(trial)

    def take(self, trial: Trial) -> bool:
        """Add a trial that has ended if no other beats it, and remove those that it beats.

        Returns:
            whether the trial is on the front now.
        """
        if not trial.values or any(self._yields_to(trial, other) for other in self._trials):
            return False
        others = [other for other in self._trials if not self._yields_to(other, trial)]
        self._trials = [*others, trial]
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
