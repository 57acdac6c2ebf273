"""Which earlier trials a trial is suggested from: those that lie `parallel` behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class VisibleTrials:
    """Trial n is suggested from trials 0 … n - parallel, whatever is known of the others.

    Attributes:
        parallel: (first trial, parallel) for each time the setting was changed, ascending; what
            was once shown to the sampler stays shown.
    """

    parallel: Sequence[tuple[int, int]]

    def n_shown(self, number: int) -> int:
        """How many trials, counted from 0, trial `number` is suggested from."""
        ends = [first for first, _ in self.parallel[1:]] + [number + 1]
        shown = 0
        for (first, parallel), end in zip(self.parallel, ends, strict=True):
            if first <= number:
                last = min(end - 1, number)  # the setting's last trial up to this one
                shown = max(shown, last - parallel + 1)
        return shown
