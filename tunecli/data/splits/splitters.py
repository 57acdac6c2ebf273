"""Ways to take rows apart: one by one, with their copies, in groups, or in the order of time.

Each gives folds or a part held out, as positions among the rows it is handed. The splitters are
scikit-learn's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
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

FINEST = 20
"""Folds from which a part of groups is put together, for shares above 1/20."""


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
        is_stratified = strata is not None and are_few(self.groups)
        kind = StratifiedGroupKFold if is_stratified else GroupKFold
        for repeat in range(repeats):
            seed = (self.seed + repeat) % 2**32
            splitter = kind(n_splits=n, shuffle=True, random_state=seed)
            yield from splitter.split(rows, strata, groups)

    def holdout(
        self, rows: Rows, strata: Rows | None, share: float, repeats: int
    ) -> Iterator[Pair]:
        """Some of many stratified folds, as many as come closest to the share; see `Splitter`.

        Without classes, or of many groups, a share of the groups drawn at random.
        """
        groups = self.groups[rows]
        if strata is None or not are_few(self.groups):
            splitter = GroupShuffleSplit(n_splits=repeats, test_size=share, random_state=self.seed)
            yield from splitter.split(rows, strata, groups)
            return
        most = min(len(np.unique(groups)), int(np.bincount(strata).max()))
        cut = _as_folds(share, most)
        for repeat in range(repeats):
            seed = (self.seed + repeat) % 2**32
            splitter = StratifiedGroupKFold(cut.denominator, shuffle=True, random_state=seed)
            with warnings.catch_warnings():  # of classes in fewer groups than folds
                warnings.simplefilter("ignore", UserWarning)
                folds = [valid for _, valid in splitter.split(rows, strata, groups)]
            order = np.random.RandomState(seed).permutation(len(folds))
            drawn = _evenly([folds[i] for i in order], strata, cut.numerator)
            valid = np.sort(np.concatenate(drawn))
            yield np.setdiff1d(np.arange(len(rows)), valid), valid


def are_few(groups: Rows) -> bool:
    """Whether groups are stratified by class where there are classes."""
    return len(np.unique(groups)) <= MANY_GROUPS


def _as_folds(share: float, most: int) -> Fraction:
    """A share as so many of at most `most` folds, 0.3 as 3 of 10; at least one, and not all."""
    cut = Fraction(share).limit_denominator(min(most, max(FINEST, round(1 / share))))
    return min(max(cut, Fraction(1, most)), Fraction(most - 1, most))


def _evenly(folds: list[Rows], strata: Rows, n: int) -> list[Rows]:
    """N of the folds, one after the other: with each class on both sides, at its share."""
    _, labels = np.unique(strata, return_inverse=True)
    n_classes = labels.max() + 1
    counts = np.array([np.bincount(labels[fold], minlength=n_classes) for fold in folds])
    total = counts.sum(axis=0)
    chosen: list[int] = []

    def unevenness(fold: int) -> tuple[int, float]:
        part = counts[[*chosen, fold]].sum(axis=0)
        one_sided = int(((part == 0) | (part == total)).sum())
        return one_sided, float(((part / total - (len(chosen) + 1) / len(folds)) ** 2).sum())

    while len(chosen) < n:
        chosen.append(min(set(range(len(folds))) - set(chosen), key=unevenness))
    return [folds[i] for i in chosen]


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
                f"{len(np.unique(times))} distinct times are too few, or one of them has too "
                f"many rows, for {len(bounds) - 1} parts in the order of time. Use fewer folds, "
                "or remove time.",
                "data.time",
            )
        return [(order[:start], order[start:end]) for start, end in pairwise(moved)]
