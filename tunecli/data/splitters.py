"""Ways to take rows apart: one by one, with their copies, in groups, or in the order of time.

Each gives folds or a part held out, as positions among the rows it is handed. The splitters are
scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)

from tunecli.errors import DataError

Rows = NDArray[np.int64]
Pair = tuple[Rows, Rows]

MANY_GROUPS = 5_000
"""Beyond so many, chance stratifies well enough; StratifiedGroupKFold takes 15 s for 57,000."""


class Splitter(Protocol):
    """A way to take rows apart.

    The methods take `rows`, (n,) of the data set, and `strata`, the class of each (None for
    regression). They give positions among them, to train and to validate.
    """

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Iterable[Pair]:
        """Each row validates in one of n folds, as often as `repeats`."""

    def holdout(
        self, rows: Rows, strata: Rows | None, share: float, repeats: int
    ) -> Iterator[Pair]:
        """A share of the rows validates, `repeats` times anew."""


@dataclass(frozen=True)
class ByRows:
    """Each row for itself, stratified by class."""

    seed: int

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Iterable[Pair]:
        """K folds; see `Splitter`."""
        if repeats == 1:
            plain: Any = KFold if strata is None else StratifiedKFold
            splitter = plain(n_splits=n, shuffle=True, random_state=self.seed)
        else:
            repeated: Any = RepeatedKFold if strata is None else RepeatedStratifiedKFold
            splitter = repeated(n_splits=n, n_repeats=repeats, random_state=self.seed)
        folds: Iterable[Pair] = splitter.split(rows, strata)
        return folds

    def holdout(
        self, rows: Rows, strata: Rows | None, share: float, repeats: int
    ) -> Iterator[Pair]:
        """A random part; see `Splitter`."""
        kind = ShuffleSplit if strata is None else StratifiedShuffleSplit
        splitter = kind(n_splits=repeats, test_size=share, random_state=self.seed)
        parts: Iterator[Pair] = splitter.split(rows, strata)
        return parts


@dataclass(frozen=True)
class ByCopies:
    """Rows that are equal, target included, stay together: one stands for all its copies.

    Attributes:
        copies: (n_rows,) of each row of the data set the first one that is equal.
    """

    copies: Rows
    seed: int

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Iterable[Pair]:
        """K folds of rows that differ, each with its copies; see `Splitter`."""
        firsts, own = self._firsts(rows)
        of_firsts = None if strata is None else strata[firsts]
        folds = ByRows(self.seed).folds(rows[firsts], of_firsts, n, repeats)
        return (self._with_copies(fold, own) for fold in folds)

    def holdout(
        self, rows: Rows, strata: Rows | None, share: float, repeats: int
    ) -> Iterator[Pair]:
        """A random part of rows that differ, with their copies; see `Splitter`."""
        firsts, own = self._firsts(rows)
        of_firsts = None if strata is None else strata[firsts]
        parts = ByRows(self.seed).holdout(rows[firsts], of_firsts, share, repeats)
        return (self._with_copies(part, own) for part in parts)

    def _firsts(self, rows: Rows) -> Pair:
        """Positions of the rows that differ, ascending, and which of them each row is like."""
        _, firsts, own = np.unique(self.copies[rows], return_index=True, return_inverse=True)
        order = np.argsort(firsts)  # as they stand, so that data without copies is split as it is
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return firsts[order], rank[own]

    @staticmethod
    def _with_copies(pair: Pair, own: Rows) -> Pair:
        train, valid = pair
        return np.flatnonzero(np.isin(own, train)), np.flatnonzero(np.isin(own, valid))


@dataclass(frozen=True)
class ByGroups:
    """Rows of one group stay together.

    Attributes:
        groups: (n_rows,) of the data set.
    """

    groups: Rows
    seed: int

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Iterable[Pair]:
        """K folds of whole groups, stratified unless they are many; see `Splitter`."""
        groups = self.groups[rows]
        few = len(np.unique(groups)) <= MANY_GROUPS
        kind = GroupKFold if strata is None or not few else StratifiedGroupKFold
        for repeat in range(repeats):
            seed = (self.seed + repeat) % 2**32
            splitter = kind(n_splits=n, shuffle=True, random_state=seed)
            yield from splitter.split(rows, strata, groups)

    def holdout(
        self, rows: Rows, strata: Rows | None, share: float, repeats: int
    ) -> Iterator[Pair]:
        """A share of the groups, drawn at random; see `Splitter`."""
        splitter = GroupShuffleSplit(n_splits=repeats, test_size=share, random_state=self.seed)
        parts: Iterator[Pair] = splitter.split(rows, strata, self.groups[rows])
        return parts


@dataclass(frozen=True)
class ByTime:
    """Rows validate what was trained on earlier ones; rows of one time are never taken apart.

    Attributes:
        times: (n_rows,) of the data set.
    """

    times: NDArray[np.float64]

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Iterable[Pair]:
        """Fold k trains on all rows before those that validate it (TimeSeriesSplit)."""
        if repeats > 1:
            message = "repeats gives the same folds again with data.time. Remove it."
            raise DataError(message, "validation.repeats")
        bounds = [valid[0] for _, valid in TimeSeriesSplit(n_splits=n).split(rows)]
        return self._parts(rows, [*bounds, len(rows)])

    def holdout(
        self, rows: Rows, strata: Rows | None, share: float, repeats: int
    ) -> Iterator[Pair]:
        """The last rows; see `Splitter`."""
        n_last = int(np.ceil(share * len(rows)))
        return iter(self._parts(rows, [len(rows) - n_last, len(rows)]))

    def _parts(self, rows: Rows, bounds: list[int]) -> list[Pair]:
        """Between two bounds rows validate, before the first of them rows train.

        A bound inside rows of one time moves to the first of these.
        """
        times = self.times[rows]
        order = np.argsort(times, kind="stable")
        ordered = times[order]
        moved = [int(np.searchsorted(ordered, ordered[b])) if b < len(rows) else b for b in bounds]
        if moved[0] == 0 or any(start == end for start, end in pairwise(moved)):
            raise DataError(
                f"{len(np.unique(times))} different times are too few, or one of them has too "
                f"many rows, for {len(bounds) - 1} parts in the order of time. Use fewer folds, "
                "or leave time out.",
                "data.time",
            )
        return [(order[:start], order[start:end]) for start, end in pairwise(moved)]
