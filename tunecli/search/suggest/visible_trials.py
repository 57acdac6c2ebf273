"""The earlier trials that a trial is suggested from: those at least `parallel` before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class VisibleTrials:
    """The rule that trial n is suggested from trials 0 … n - parallel, and from no others.

    Attributes:
        parallel: (first trial, parallel) of each change of the setting, ascending; trials that the
            sampler has seen once stay visible.
    """

    parallel: Sequence[tuple[int, int]]

    def n_shown(self, number: int) -> int:
        """Return how many of the first trials trial `number` is suggested from."""
        ends = [first for first, _ in self.parallel[1:]] + [number + 1]
        n_visible = 0
        for (first, parallel), end in zip(self.parallel, ends, strict=True):
            if first <= number:
                last = min(end - 1, number)  # the setting's last trial up to this one
                n_visible = max(n_visible, last - parallel + 1)
        return n_visible
