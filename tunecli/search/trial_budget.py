"""The number of trials that a study may have.

A trial that breaks a limit on its model alone (`n_weights`, `macs`, `size`) is not trained. It
does not use up the budget, up to ten such trials per trial of the budget. Since a running trial
may end either way, another one starts only if the budget has room for it however the running ones
end. So the trials of a study depend neither on the number of workers nor on when one finishes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunecli.database.trials import Trial

SPARED = 10  # untrained trials per trial of the budget


@dataclass(frozen=True)
class TrialBudget:
    """The budget of a study.

    Attributes:
        n_total: number of trials that count.
        spares_untrained: whether untrained trials do not count; every trial counts in studies of
            versions that did not know this.
    """

    n_total: int
    spares_untrained: bool = False

    @property
    def most_spared(self) -> int:
        """How many trials may be spared before the search ends."""
        return SPARED * self.n_total

    def spares(self, trial: Trial) -> bool:
        """Return whether a trial that has ended does not count."""
        return self.spares_untrained and trial.is_untrained

    def n_spared(self, trials: Sequence[Trial]) -> int:
        """Return how many of these trials do not count."""
        return sum(map(self.spares, trials))

    def has_room(self, n_trials: int, n_spared: int, n_running: int) -> bool:
        """Return whether another trial may start, however the running ones end.

        Args:
            n_trials: all trials, running ones included.
            n_spared: those that have ended and do not count.
        """
        return n_trials - n_spared < self.n_total and n_spared + n_running < self.most_spared

    def is_spent(self, trials: Sequence[Trial]) -> bool:
        """Return whether every trial has ended and no other may start."""
        has_room = self.has_room(len(trials), self.n_spared(trials), 0)
        return not has_room and all(trial.outcome is not None for trial in trials)


@dataclass(frozen=True)
class Limits:
    """The limits of one call of `search`.

    Attributes:
        n_total: number of trials that the study should have in total.
        deadline: the time by `time.monotonic()` after which no trial is started.
        grace: seconds that running trials have to save when the search is interrupted.
        spares_untrained: whether untrained trials do not count, see `trial_budget.py`.
    """

    n_total: int
    deadline: float = math.inf
    grace: float = 2.0
    spares_untrained: bool = False

    @property
    def budget(self) -> TrialBudget:
        """The number of trials, and which of them count."""
        return TrialBudget(self.n_total, self.spares_untrained)
