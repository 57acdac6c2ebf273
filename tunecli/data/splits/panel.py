"""Split groups with repeated rows over time: validate on later rows of other groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.data.splits.splitters import ByTime, Pair, Rows
from tunecli.errors import DataError
from tunecli.study_file.text.counts import count


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

    def folds(self, rows: Rows, strata: Rows | None, n: int, repeats: int) -> Iterable[Pair]:
        """Return folds; each trains on rows before its validation rows; see `Splitter`."""
        cuts = list(ByTime(self.times).folds(rows, strata, n, 1))
        spanned = [len(self._spanning(rows, cut)) for cut in cuts]
        if repeats > 1 and not any(spanned):
            message = "repeats gives the same folds again, because no group spans a cut in time"
            raise DataError(f"{message}. Remove it.", "validation.repeats")
        for repeat in range(repeats):
            order = self._drawn(repeat)
            for number, cut in enumerate(cuts):
                start = number * len(order) // len(cuts)
                yield self._apart(rows, cut, np.roll(order, -start))

    def holdout(
        self, rows: Rows, strata: Rows | None, share: float, repeats: int
    ) -> Iterator[Pair]:
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
            raise DataError(
                f"only {count(len(spanning), 'group is', 'groups are')} left for both sides of a "
                f"cut in time, so no row is left {side}: validation rows must be later than "
                "training rows and from other groups. Use fewer folds, or remove group or time.",
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
    """Note how many rows are in neither part because their group is on the other side."""
    counts = []
    if of_test:
        counts.append(
            f"{count(of_test, 'row is', 'rows are')} in neither the search nor the test set"
        )
    if any(of_folds):
        least, most = min(of_folds), max(of_folds)
        span = "" if least == most else f"{least:,} to "
        rows = count(most, "row per fold is", "rows per fold are")
        counts.append(f"{span}{rows} in neither training nor validation")
    if not counts:
        return []
    return [f"Groups with rows before and after a cut in time keep one side: {'; '.join(counts)}."]
