"""Ways to split rows: one by one, with their copies, in groups, in the order of time, or both.

Each gives folds or a held-out part, as positions among the rows that it gets. The splitters are
scikit-learn's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray
from sklearn import model_selection as sk

from tunecli.data.rows.dataset import Dataset
from tunecli.data.splits.label_parts import label_parts
from tunecli.errors import DataError
from tunecli.study_file.text.counts import count

Rows = NDArray[np.int64]
Pair = tuple[Rows, Rows]
Pairs = Iterable[Pair]

MANY_GROUPS = 5_000
"""Most groups to stratify: with more, chance is good enough; 57,000 groups take 15 s."""

FINEST = 20
"""Folds from which a held-out part of groups is assembled, for shares above 1/20."""


def rows_outside(n_rows: int, rows: Rows) -> Rows:
    """Return 0 … n_rows - 1 without `rows`, ascending."""
    is_left = np.ones(n_rows, dtype=bool)
    is_left[rows] = False
    return np.flatnonzero(is_left)


class Splitter(Protocol):
    """A way to split rows.

    The methods take `rows`, (n,) indices in the data set, and `strata`, the class of each row,
    (n,), or which labels it has, (n, n_labels) (None for regression). They return positions among
    these rows, for training and for validation.
    """

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Pairs:
        """Return n folds, `repeats` times: each row validates once per repeat."""

    def holdout(self, rows: Rows, strata: Rows | None, share: float, repeats: int) -> Pairs:
        """Hold out a share of the rows for validation, `repeats` times with new draws."""


@dataclass(frozen=True)
class ByRows:
    """A split of single rows, stratified by class or by all labels."""

    seed: int

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Pairs:
        """Return k folds; see `Splitter`."""
        if _are_labels(strata):
            return self._of_labels(strata, [1 / n] * n, range(n), repeats)
        if repeats == 1:
            plain: Any = sk.KFold if strata is None else sk.StratifiedKFold
            splitter = plain(n_splits=n, shuffle=True, random_state=self.seed)
        else:
            repeated: Any = sk.RepeatedKFold if strata is None else sk.RepeatedStratifiedKFold
            splitter = repeated(n_splits=n, n_repeats=repeats, random_state=self.seed)
        folds: Pairs = splitter.split(rows, strata)
        return folds

    def holdout(self, rows: Rows, strata: Rows | None, share: float, repeats: int) -> Pairs:
        """Hold out a random part; see `Splitter`."""
        if _are_labels(strata):
            return self._of_labels(strata, [1 - share, share], [1], repeats)
        kind = sk.ShuffleSplit if strata is None else sk.StratifiedShuffleSplit
        splitter = kind(n_splits=repeats, test_size=share, random_state=self.seed)
        parts: Pairs = splitter.split(rows, strata)
        return parts

    def _of_labels(
        self, labels: Rows, shares: Sequence[float], validating: Iterable[int], repeats: int
    ) -> Pairs:
        """Return each of the parts that validate, and the rows of all others, for each repeat."""
        for repeat in range(repeats):
            parts = label_parts(labels, shares, (self.seed + repeat) % 2**32)
            for part in validating:
                yield np.flatnonzero(parts != part), np.flatnonzero(parts == part)


def _are_labels(strata: Rows | None) -> TypeGuard[Rows]:
    """Return whether a row can be in several strata."""
    return strata is not None and strata.ndim > 1


@dataclass(frozen=True)
class ByCopies:
    """A split that keeps equal rows together, target included: one represents all its copies.

    Attributes:
        copies: (n_rows,), for each row of the data set the first row equal to it.
    """

    copies: Rows
    seed: int

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Pairs:
        """Return k folds of distinct rows, each with its copies; see `Splitter`."""
        firsts, first_strata, own = self._firsts(rows, strata)
        folds = ByRows(self.seed).folds(rows[firsts], first_strata, n, repeats)
        return (self._with_copies(fold, own) for fold in folds)

    def holdout(self, rows: Rows, strata: Rows | None, share: float, repeats: int) -> Pairs:
        """Hold out a random part of the distinct rows, with their copies; see `Splitter`."""
        firsts, first_strata, own = self._firsts(rows, strata)
        parts = ByRows(self.seed).holdout(rows[firsts], first_strata, share, repeats)
        return (self._with_copies(part, own) for part in parts)

    def _firsts(self, rows: Rows, strata: Rows | None) -> tuple[Rows, Rows | None, Rows]:
        """Return positions of distinct rows, ascending; strata; and which of them each row is."""
        _, firsts, own = np.unique(self.copies[rows], return_index=True, return_inverse=True)
        order = np.argsort(firsts)  # in row order, so that data without copies is split the same
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        firsts = firsts[order]
        return firsts, None if strata is None else strata[firsts], rank[own]

    @staticmethod
    def _with_copies(pair: Pair, own: Rows) -> Pair:
        train, valid = pair
        return np.flatnonzero(np.isin(own, train)), np.flatnonzero(np.isin(own, valid))


@dataclass(frozen=True)
class ByGroups:
    """A split that keeps rows of one group together.

    Attributes:
        groups: (n_rows,), for all rows of the data set.
    """

    groups: Rows
    seed: int

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Pairs:
        """Return k folds of whole groups, stratified by class unless there are many groups."""
        groups = self.groups[rows]
        strata = None if _are_labels(strata) else strata
        is_stratified = strata is not None and are_few(self.groups)
        kind = sk.StratifiedGroupKFold if is_stratified else sk.GroupKFold
        for repeat in range(repeats):
            seed = (self.seed + repeat) % 2**32
            splitter = kind(n_splits=n, shuffle=True, random_state=seed)
            yield from splitter.split(rows, strata, groups)

    def holdout(self, rows: Rows, strata: Rows | None, share: float, repeats: int) -> Pairs:
        """Hold out some of many stratified folds, closest to the share; see `Splitter`.

        Without classes, or with many groups, a share of the groups is drawn at random.
        """
        groups = self.groups[rows]
        strata = None if _are_labels(strata) else strata
        if strata is None or not are_few(self.groups):
            splitter = sk.GroupShuffleSplit(
                n_splits=repeats, test_size=share, random_state=self.seed
            )
            yield from splitter.split(rows, strata, groups)
            return
        most = min(len(np.unique(groups)), int(np.bincount(strata).max()))
        cut = _as_folds(share, most)
        for repeat in range(repeats):
            seed = (self.seed + repeat) % 2**32
            splitter = sk.StratifiedGroupKFold(cut.denominator, shuffle=True, random_state=seed)
            with warnings.catch_warnings():  # of classes in fewer groups than folds
                warnings.simplefilter("ignore", UserWarning)
                folds = [valid for _, valid in splitter.split(rows, strata, groups)]
            order = np.random.RandomState(seed).permutation(len(folds))
            drawn = _evenly([folds[i] for i in order], strata, cut.numerator)
            valid = np.sort(np.concatenate(drawn))
            yield rows_outside(len(rows), valid), valid


def are_few(groups: Rows) -> bool:
    """Return whether groups are few enough to be stratified by class."""
    return len(np.unique(groups)) <= MANY_GROUPS


def _as_folds(share: float, most: int) -> Fraction:
    """Return a share as a number of at most `most` folds, 0.3 as 3 of 10; at least 1, not all."""
    cut = Fraction(share).limit_denominator(min(most, max(FINEST, round(1 / share))))
    return min(max(cut, Fraction(1, most)), Fraction(most - 1, most))


def _evenly(folds: list[Rows], strata: Rows, n: int) -> list[Rows]:
    """Choose n folds, one after the other, so that both sides have each class at its share."""
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
    """A split whose validation rows are later than training rows; rows of one time stay together.

    Attributes:
        times: (n_rows,), for all rows of the data set.
    """

    times: NDArray[np.float64]

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Pairs:
        """Return folds; each trains on all rows before its validation rows (TimeSeriesSplit)."""
        if repeats > 1:
            message = "every repeat has the same folds, because data.time decides them"
            raise DataError(f"{message}. Remove repeats.", "validation.repeats")
        bounds = [valid[0] for _, valid in sk.TimeSeriesSplit(n_splits=n).split(rows)]
        return self._parts(rows, [*bounds, len(rows)])

    def holdout(self, rows: Rows, strata: Rows | None, share: float, repeats: int) -> Pairs:
        """Hold out the last rows; see `Splitter`."""
        n_last = int(np.ceil(share * len(rows)))
        return self._parts(rows, [len(rows) - n_last, len(rows)])

    def _parts(self, rows: Rows, bounds: list[int]) -> list[Pair]:
        """Return parts: rows between two bounds validate, and rows before the first bound train.

        A bound within rows of one time moves to the first of them.
        """
        times = self.times[rows]
        order = np.argsort(times, kind="stable")
        ordered = times[order]
        moved = [int(np.searchsorted(ordered, ordered[b])) if b < len(rows) else b for b in bounds]
        if moved[0] == 0 or any(start == end for start, end in pairwise(moved)):
            raise DataError(
                f"the rows cannot be cut by time into {count(len(bounds) - 1, 'validation part')}"
                f": {count(len(np.unique(times)), 'distinct time is', 'distinct times are')} too "
                "few, or one of them has too many rows. Use fewer folds, or remove time.",
                "data.time",
            )
        return [(order[:start], order[start:end]) for start, end in pairwise(moved)]


@dataclass(frozen=True)
class ByTimeAndGroups:
    """A split whose validation rows are later than all training rows and from other groups.

    Rows are cut by time first, as `ByTime` cuts them. A group with rows on both sides of a cut
    keeps one side, and its other rows are in neither part. The share of these groups that validate
    equals the share of the rows; the seed draws them, and each fold draws others.

    Attributes:
        times: (n_rows,), for all rows of the data set.
        groups: (n_rows,), for all rows of the data set.
    """

    times: NDArray[np.float64]
    groups: Rows
    seed: int

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Pairs:
        """Return folds; each trains on rows before its validation rows; see `Splitter`."""
        cuts = list(ByTime(self.times).folds(rows, strata, n, 1))
        spanned = [len(self._spanning(rows, cut)) for cut in cuts]
        if repeats > 1 and not any(spanned):
            message = (
                "repeats differ only if a group has rows on both sides of a cut, and none has"
            )
            raise DataError(f"{message}. Remove repeats.", "validation.repeats")
        for repeat in range(repeats):
            order = self._drawn(repeat)
            for number, cut in enumerate(cuts):
                start = number * len(order) // len(cuts)
                yield self._apart(rows, cut, np.roll(order, -start))

    def holdout(self, rows: Rows, strata: Rows | None, share: float, repeats: int) -> Pairs:
        """Hold out the last rows; see `Splitter`."""
        cuts = ByTime(self.times).holdout(rows, strata, share, repeats)
        return (self._apart(rows, cut, self._drawn(number)) for number, cut in enumerate(cuts))

    def _drawn(self, repeat: int) -> Rows:
        """Return all groups in the order in which they are drawn for validation."""
        order: Rows = np.random.RandomState((self.seed + repeat) % 2**32).permutation(
            np.unique(self.groups)
        )
        return order

    def _spanning(self, rows: Rows, cut: Pair) -> Rows:
        """Return the groups that have rows on both sides."""
        train, valid = (self.groups[rows[part]] for part in cut)
        return np.intersect1d(train, valid)

    def _apart(self, rows: Rows, cut: Pair, order: Rows) -> Pair:
        """Return both parts without the rows whose group is on the other side."""
        train, valid = cut
        spanning = self._spanning(rows, cut)
        inner = [len(np.unique(self.groups[rows[part]])) - len(spanning) for part in cut]
        least, most = int(not inner[1]), len(spanning) - int(not inner[0])
        if least > most:
            side = "to validate on" if inner[0] else "to train on"
            n = count(len(spanning), "group has rows", "groups have rows")
            raise DataError(
                f"a split in time leaves no row {side}: validation rows must be later than "
                f"training rows and from other groups, but {n} on both sides of the split, and "
                "each side needs its own group. Use fewer folds, or remove group or time.",
                "data.group",
            )
        share = len(valid) / (len(train) + len(valid))
        n_validate = min(max(round(share * len(spanning)), least), most)
        ordered = order[np.isin(order, spanning)]
        validate, learn = ordered[:n_validate], ordered[n_validate:]
        kept_train = train[~np.isin(self.groups[rows[train]], validate)]
        kept_valid = valid[~np.isin(self.groups[rows[valid]], learn)]
        return kept_train, kept_valid


def splitter_of(dataset: Dataset, seed: int) -> Splitter:
    """Return the splitter that the groups, times or copies of this data need."""
    if dataset.times is not None and dataset.groups is not None:
        return ByTimeAndGroups(dataset.times.numpy(), dataset.groups.numpy(), seed)
    if dataset.times is not None:
        return ByTime(dataset.times.numpy())
    if dataset.groups is not None:
        return ByGroups(dataset.groups.numpy(), seed)
    if dataset.copies is not None:
        return ByCopies(dataset.copies.numpy(), seed)
    return ByRows(seed)
