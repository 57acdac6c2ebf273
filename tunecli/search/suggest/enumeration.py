"""All points of a finite search space, branches included: the walk of Grid and BruteForce."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tunecli.errors import TunecliError
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.scalars import Scalar

MOST_POINTS = 100_000

Point = dict[str, Scalar]


def values(range_: Range) -> list[Any]:
    """All values of a range, ascending; the study file's rules refuse a continuous one here."""
    match range_:
        case Categories(choices):
            return list(choices)
        case IntRange(low, high, _, step):
            return list(range(low, high + 1, step))
        case FloatRange(low, high, _, step):
            assert step is not None, "rules.py refuses a continuous range"
            n_values = int((high - low) / step + 1e-8) + 1
            return [min(low + index * step, high) for index in range(n_values)]


def all_points(study: StudyFile) -> Iterator[Point]:
    """Every point once, the last parameter varying fastest."""
    walk = _Walk([])
    while True:
        study.resolve(walk.choose)
        yield walk.point
        following = walk.next_indices()
        if not following:
            return
        walk = _Walk(following)


class _Walk:
    """One descent through the branches: the given indices first, then first values."""

    def __init__(self, indices: list[int]) -> None:
        self._indices = indices
        self._sizes: list[int] = []
        self.point: Point = {}

    def choose(self, name: str, range_: Range) -> Scalar:
        """Answer as a sampler would."""
        options = values(range_)
        if len(self._sizes) == len(self._indices):
            self._indices.append(0)
        self.point[name] = options[self._indices[len(self._sizes)]]
        self._sizes.append(len(options))
        return self.point[name]

    def next_indices(self) -> list[int]:
        """Like an odometer, but its number of wheels depends on the branch; empty at the end."""
        indices = list(self._indices)
        while indices and indices[-1] == self._sizes[len(indices) - 1] - 1:
            indices.pop()
        return [*indices[:-1], indices[-1] + 1] if indices else []


def shuffled_points(study: StudyFile) -> list[Point]:
    """All points in the order that the study's seed gives.

    Raises:
        TunecliError: more than 100,000 points.
    """
    found = list(islice(all_points(study), MOST_POINTS + 1))
    if len(found) > MOST_POINTS:
        raise TunecliError(
            f"The search space has more than {MOST_POINTS:,} points, too many to try one by one. "
            "Use sampler: TPE or Random, or fewer and coarser ranges."
        )
    random.Random(study.seed).shuffle(found)
    return found
