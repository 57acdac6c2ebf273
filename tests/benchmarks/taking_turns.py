"""Measure two ways in turns: CPU seconds, seconds of the clock, and the ratio of each pair.

Ways that run in a process of their own also give its peak memory.

A busy machine disturbs both ways of a pair alike, so ratios of pairs are steadier than ratios of
medians. Which way begins alternates, since the second one finds warm caches.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Measure = Literal["cpu", "wall", "memory"]


@dataclass(frozen=True)
class Cost:
    """What one run took.

    Attributes:
        cpu, wall: seconds of processors, children included, and of the clock.
        memory: peak memory in MB; NaN if it was not measured.
    """

    cpu: float
    wall: float
    memory: float = math.nan


Way = Callable[[], Cost]


def timed(run: Callable[[], object]) -> Way:
    """Return a way that runs in this process, with children that end within it."""

    def way() -> Cost:
        cpu, wall = cpu_seconds(), time.perf_counter()
        run()
        return Cost(cpu_seconds() - cpu, time.perf_counter() - wall)

    return way


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass(frozen=True)
class Compared:
    """The costs of two ways, pair by pair.

    Attributes:
        pairs: (ours, the alternative's).
    """

    pairs: Sequence[tuple[Cost, Cost]]

    def ratio(self, measure: Measure) -> float:
        """Return the median of the pairs' ratios: below 1, tunecli is faster."""
        return median(getattr(a, measure) / getattr(b, measure) for a, b in self.pairs)

    def medians(self, measure: Measure) -> tuple[float, float]:
        """Return the median cost of each way, in seconds or MB."""
        columns = zip(*self.pairs, strict=True)
        mine, theirs = (median(getattr(one, measure) for one in column) for column in columns)
        return mine, theirs


Pair = Callable[[int], tuple[Cost, Cost]]
"""Runs both ways once; its argument is the number of the pair, from 0."""


def taking_turns(ours: Way, theirs: Way) -> Pair:
    """Return pairs in which every second one begins with the alternative."""

    def pair(number: int) -> tuple[Cost, Cost]:
        if number % 2 == 0:
            return ours(), theirs()
        its = theirs()
        return ours(), its

    return pair


def compare(pair: Pair, n_pairs: int) -> Compared:
    """Run `n_pairs` pairs."""
    return Compared([pair(number) for number in range(n_pairs)])
