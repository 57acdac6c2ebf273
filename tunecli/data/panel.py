"""Rows of groups that are met again and again: to validate on later rows of other groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.data.splitters import ByTime, Pair, Rows
from tunecli.errors import DataError
from tunecli.study_file.counts import count


@dataclass(frozen=True)
class ByTimeAndGroups:
    """Validation rows are later than all training rows, and of other groups.

    Rows are cut by time first, as `ByTime` cuts them. A group with rows on both sides of a cut
    keeps one side, and its other rows are in neither part: as large a share of these groups
    validates as of the rows, drawn by the seed, and others in each fold.

    Attributes:
        times: (n_rows,) of the data set.
        groups: (n_rows,) of the data set.
    """

    times: NDArray[np.float64]
    groups: Rows
    seed: int

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Iterable[Pair]:
        """Fold k trains on rows before those that validate it; see `Splitter`."""
        cuts = list(ByTime(self.times).folds(rows, strata, n, 1))
        spanned = [len(self._spanning(rows, cut)) for cut in cuts]
        if repeats > 1 and not any(spanned):
            message = (
                "repeats gives the same folds again: no group spans a cut in time. Remove it."
            )
            raise DataError(message, "validation.repeats")
        for repeat in range(repeats):
            order = self._drawn(repeat)
            for number, cut in enumerate(cuts):
                start = number * len(order) // len(cuts)
                yield self._apart(rows, cut, np.roll(order, -start))

    def holdout(
        self, rows: Rows, strata: Rows | None, share: float, repeats: int
    ) -> Iterator[Pair]:
        """The last rows; see `Splitter`."""
        cuts = ByTime(self.times).holdout(rows, strata, share, repeats)
        return (self._apart(rows, cut, self._drawn(number)) for number, cut in enumerate(cuts))

    def _drawn(self, repeat: int) -> Rows:
        """All groups in the order in which they are taken to validate."""
        order: Rows = np.random.RandomState((self.seed + repeat) % 2**32).permutation(
            np.unique(self.groups)
        )
        return order

    def _spanning(self, rows: Rows, cut: Pair) -> Rows:
        """Groups that have rows on both sides."""
        train, valid = (self.groups[rows[part]] for part in cut)
        return np.intersect1d(train, valid)

    def _apart(self, rows: Rows, cut: Pair, order: Rows) -> Pair:
        """Both parts without the rows whose group is on the other side."""
        train, valid = cut
        spanning = self._spanning(rows, cut)
        inner = [len(np.unique(self.groups[rows[part]])) - len(spanning) for part in cut]
        least, most = int(not inner[1]), len(spanning) - int(not inner[0])
        if least > most:
            side = "to validate on" if inner[0] else "to train on"
            raise DataError(
                f"{count(len(spanning), 'group is', 'groups are')} left for both sides of a cut "
                f"in time, so no row is left {side}: rows that validate must be later than the "
                "others and of other groups. Use fewer folds, or leave group or time out.",
                "data.group",
            )
        share = len(valid) / (len(train) + len(valid))
        n_validate = min(max(round(share * len(spanning)), least), most)
        ordered = order[np.isin(order, spanning)]
        validate, learn = ordered[:n_validate], ordered[n_validate:]
        kept_train = train[~np.isin(self.groups[rows[train]], validate)]
        kept_valid = valid[~np.isin(self.groups[rows[valid]], learn)]
        return kept_train, kept_valid


def left_out_note(of_test: int, of_folds: Sequence[int]) -> list[str]:
    """How many rows are in neither part, since their group is on the other side of the cut."""
    found = []
    if of_test:
        found.append(f"{count(of_test, 'row is', 'rows are')} neither searched on nor in the test")
    if any(of_folds):
        least, most = min(of_folds), max(of_folds)
        span = "" if least == most else f"{least:,} to "
        rows = count(most, "row per fold neither trains", "rows per fold neither train")
        found.append(f"{span}{rows} nor {'validates' if most == 1 else 'validate'}")
    if not found:
        return []
    return [f"Groups with rows before and after a cut in time keep one side: {'; '.join(found)}."]
