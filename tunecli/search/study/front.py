"""The trials that no other beats: the best one, or with several objectives the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import le, mul
from typing import Generic, Protocol, TypeVar

from tunecli.study_file.settings.settings import Direction


class _Ended(Protocol):
    @property
    def number(self) -> int: ...

    @property
    def values(self) -> tuple[float, ...]: ...


_Trial = TypeVar("_Trial", bound=_Ended)


class FrontTracker(Generic[_Trial]):
    """The trials that no other trial beats; of equal ones only the first in number.

    Args:
        directions: directions of the objectives, in their order.
        trials: trials to take at once; those that have not ended are ignored.
    """

    def __init__(self, directions: Sequence[Direction], trials: Sequence[_Trial] = ()) -> None:
        self._signs = [-1.0 if direction == "maximize" else 1.0 for direction in directions]
        self._costs: dict[int, tuple[float, ...]] = {}  # by number; smaller is better
        self._trials: list[_Trial] = []
        for trial in trials:
            self.take(trial)

    def take(self, trial: _Trial) -> bool:
        """Add a trial that has ended if no other beats it, and remove those that it beats.

        Returns:
            whether the trial is on the front now.
        """
        if not trial.values:
            return False
        self._costs[trial.number] = tuple(map(mul, self._signs, trial.values))
        if any(self._yields_to(trial, other) for other in self._trials):
            return False
        others = [other for other in self._trials if not self._yields_to(other, trial)]
        self._trials = [*others, trial]
        return True

    def __contains__(self, trial: _Trial) -> bool:
        return any(trial is other for other in self._trials)

    def __iter__(self) -> Iterator[_Trial]:
        """Iterate over the front, the best in the first objective first."""
        return iter(sorted(self._trials, key=lambda trial: self._costs[trial.number]))

    @property
    def first(self) -> _Trial | None:
        """The best in the first objective."""
        return min(self._trials, key=lambda trial: self._costs[trial.number][0], default=None)

    def _yields_to(self, trial: _Trial, other: _Trial) -> bool:
        mine, theirs = self._costs[trial.number], self._costs[other.number]
        if mine == theirs:
            return other.number < trial.number
        return all(map(le, theirs, mine))
