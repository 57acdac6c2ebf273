"""Estimate how long a search still takes, from the trials that have ended.

A trial that is still to come is expected to last as long as the mean of those that ended, pruned
and stopped ones included, those of earlier calls too. No trial is extrapolated to its full length:
with a pruner or early stopping, few trials get there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

ENOUGH_TRIALS = 5
"""With this many ended trials, the estimate is one number; with fewer, a range."""

_USUAL = math.log(2.5)
"""Standard deviation of the logarithm of trials' durations, before one has ended: many take less
than half or more than twice the usual time.
"""

_LEAST = 1e-3  # seconds; a trial that broke a limit took none


@dataclass(frozen=True)
class TimeLeft:
    """An estimated time in seconds, from `low` to `high`."""

    low: float
    high: float

    @property
    def likely(self) -> float:
        """The estimate as one number."""
        return math.sqrt(self.low * self.high)

    def at_most(self, seconds: float) -> TimeLeft:
        """Return the estimate if something ends the search after that time."""
        return TimeLeft(min(self.low, seconds), min(self.high, seconds))


def time_left(work: float, durations: Sequence[float]) -> TimeLeft:
    """Return the estimate for some work, as uncertain as the mean of a few durations.

    The range has a probability of 80 % if durations are log-normal, and one earlier trial of the
    usual spread is assumed.

    Args:
        work: the estimated time, in seconds.
        durations: of the trials that ended, in seconds; at least one.
    """
    n = len(durations)
    if n >= ENOUGH_TRIALS:
        return TimeLeft(work, work)
    logs = [math.log(max(seconds, _LEAST)) for seconds in durations]
    mean = fmean(logs)
    variance = (_USUAL**2 + sum((one - mean) ** 2 for one in logs)) / n
    factor = math.exp(1.28 * math.sqrt(variance / n))
    return TimeLeft(work / factor, work * factor)


def of_running(elapsed: float, mean: float, at_most: float) -> float:
    """Return the seconds that a running trial still takes.

    Args:
        elapsed: its seconds so far.
        mean: mean duration of the trials that ended.
        at_most: its time to the end at its own pace, if nothing stops it.
    """
    return min(mean - elapsed if elapsed < mean else mean, at_most)
