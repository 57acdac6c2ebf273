"""Enumerate all points of a finite search space, branches included, for Grid and BruteForce."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tunecli.errors import TunecliError
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range
from tunecli.study_file.study_file import Study
from tunecli.study_file.text.scalars import Scalar

MOST_POINTS = 100_000

Point = dict[str, Scalar]


def values(range_: Range) -> list[Any]:
    """Return all values of a range, ascending; the study file's rules refuse continuous ones."""
    match range_:
        case Categories(choices):
            return list(choices)
        case IntRange(low, high, _, step):
            return list(range(low, high + 1, step))
        case FloatRange(low, high, _, step):
            assert step is not None, "rules.py refuses a continuous range"
            n_values = int((high - low) / step + 1e-8) + 1
            return [min(low + index * step, high) for index in range(n_values)]


def all_points(study: Study) -> Iterator[Point]:
    """Yield every point once; the last parameter varies fastest."""
    walk = _Walk([])
    while True:
        study.resolve(walk.choose)
        yield walk.point
        following = walk.next_indices()
        if not following:
            return
        walk = _Walk(following)


class _Walk:
    """One descent through the branches: by the given indices, then by first values."""

    def __init__(self, indices: list[int]) -> None:
        self._indices = indices
        self._sizes: list[int] = []
        self.point: Point = {}

    def choose(self, name: str, range_: Range) -> Scalar:
        """Return a value of the range, as a sampler would."""
        options = values(range_)
        if len(self._sizes) == len(self._indices):
            self._indices.append(0)
        self.point[name] = options[self._indices[len(self._sizes)]]
        self._sizes.append(len(options))
        return self.point[name]

    def next_indices(self) -> list[int]:
        """Return the indices of the next point; empty at the end.

        They advance like an odometer whose number of wheels depends on the branch.
        """
        indices = list(self._indices)
        while indices and indices[-1] == self._sizes[len(indices) - 1] - 1:
            indices.pop()
        return [*indices[:-1], indices[-1] + 1] if indices else []


def shuffled_points(study: Study) -> list[Point]:
    """Return all points in an order that the study's seed decides.

    Raises:
        TunecliError: there are more than 100,000 points.
    """
    points = list(islice(all_points(study), MOST_POINTS + 1))
    if len(points) > MOST_POINTS:
        raise TunecliError(
            f"The search space has more than {MOST_POINTS:,} points, too many to try one by one. "
            "Use sampler: TPE or Random, or write fewer or coarser ranges."
        )
    random.Random(study.seed).shuffle(points)
    return points
