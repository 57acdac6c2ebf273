"""Normalized regret and mean rank of ways to search, from the best trial of each search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
from scipy.stats import rankdata

BUDGETS = (10, 20, 40, 100)  # full trainings
NOTHING = 1.0
"""Regret before a trial is complete: that of a configuration that was drawn blindly."""

Place = tuple[str, int]
"""A task and a seed: where ways to search are compared."""


@dataclass(frozen=True)
class Found:
    """The best complete trial of one search after each budget: its score, higher is better.

    Attributes:
        unseen: the scores of the same trials on unseen rows.
        cpu: CPU seconds of the whole search.
    """

    way: str
    task: str
    seed: int
    scores: Mapping[int, float | None]
    unseen: Mapping[int, float | None]
    cpu: float = 0.0

    @property
    def place(self) -> Place:
        return self.task, self.seed


@dataclass(frozen=True)
class Scale:
    """Two scores of a task: the best known, and the median of configurations drawn blindly."""

    best: float
    median: float

    @classmethod
    def of(cls, drawn: Sequence[float], found: Iterable[Mapping[int, float | None]]) -> Scale:
        """Return the scale of a task.

        Args:
            drawn: scores of configurations drawn blindly.
            found: the best scores of each search by budget.
        """
        scores = [one for by_budget in found for one in by_budget.values() if one is not None]
        return cls(max([*drawn, *scores]), median(drawn))

    def regret(self, score: float | None) -> float:
        """Return 0 for the best known score, and 1 for the median."""
        if score is None:
            return NOTHING
        return (self.best - score) / (self.best - self.median)


@dataclass(frozen=True)
class Row:
    """One way to search, over all places.

    Attributes:
        regret, unseen, rank: means by budget.
        better, worse: at how many places it has found a better or worse trial than the reference,
            by budget.
    """

    way: str
    n_places: int
    regret: Mapping[int, float]
    unseen: Mapping[int, float]
    rank: Mapping[int, float]
    better: Mapping[int, int]
    worse: Mapping[int, int]


def rows(
    found: Sequence[Found],
    scales: Mapping[str, Scale],
    unseen_scales: Mapping[str, Scale],
    reference: str,
) -> list[Row]:
    """Return one row per way to search, in the order of their first searches.

    Ways are ranked where all of them searched.
    """
    by_way: defaultdict[str, dict[Place, Found]] = defaultdict(dict)
    for one in found:
        by_way[one.way][one.place] = one
    ranked = sorted(set.intersection(*(set(places) for places in by_way.values())))
    ranks = {budget: mean_ranks(by_way, ranked, budget) for budget in BUDGETS}
    return [
        Row(
            way,
            len(places),
            _means(places.values(), scales, "scores"),
            _means(places.values(), unseen_scales, "unseen"),
            {budget: ranks[budget][way] for budget in _reached(places.values()) if ranked},
            _wins(places, by_way.get(reference, {}), 1),
            _wins(places, by_way.get(reference, {}), -1),
        )
        for way, places in by_way.items()
    ]


def _reached(found: Iterable[Found]) -> list[int]:
    """Return the budgets that every search has used up."""
    return [budget for budget in BUDGETS if all(budget in one.scores for one in found)]


def _means(found: Iterable[Found], scales: Mapping[str, Scale], which: str) -> dict[int, float]:
    found = [*found]
    return {
        budget: fmean(scales[one.task].regret(getattr(one, which)[budget]) for one in found)
        for budget in _reached(found)
    }


def mean_ranks(
    by_way: Mapping[str, Mapping[Place, Found]], places: Sequence[Place], budget: int
) -> dict[str, float]:
    """Return each way's mean rank by score; 1 is the best, equal scores share their ranks."""
    ways = [way for way, found in by_way.items() if budget in _reached(found.values())]
    if not places or not ways:
        return {}
    scores = np.array([[_score(by_way[way][place], budget) for way in ways] for place in places])
    means = rankdata(-scores, axis=1).mean(axis=0)
    return dict(zip(ways, map(float, means), strict=True))


def _score(one: Found, budget: int) -> float:
    score = one.scores[budget]
    return -np.inf if score is None else score


def _wins(
    places: Mapping[Place, Found], reference: Mapping[Place, Found], sign: int
) -> dict[int, int]:
    common = places.keys() & reference.keys()
    return {
        budget: sum(
            sign * _score(places[place], budget) > sign * _score(reference[place], budget)
            for place in common
        )
        for budget in _reached([*places.values(), *reference.values()])
    }
