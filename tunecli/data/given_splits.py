"""Whether the splits that a source brings keep to its groups and times.

Splits that are made here do so by construction; those that are given are the user's, and so are
`group` and `time`: where they contradict each other, nobody but the user knows which is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.data.dataset import Dataset
from tunecli.errors import DataError
from tunecli.study_file.counts import count
from tunecli.study_file.settings import DataSettings, ValidationSettings

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class _Cut:
    """Rows that something is learned from, and rows it is judged on.

    Attributes:
        setting: what gives the cut.
        judge, learn: in messages, which rows these are.
    """

    setting: str
    learned: Rows
    judged: Rows
    judge: str
    learn: str


def check_given(
    dataset: Dataset, data: DataSettings, validation: ValidationSettings, uses_given_folds: bool
) -> None:
    """Refuse given splits that take groups apart, or that judge on rows before those learned from.

    Args:
        uses_given_folds: whether trials are scored on `dataset.given_folds`.

    Raises:
        DataError: with the number of groups or rows on both sides.
    """
    if dataset.groups is None and dataset.times is None:
        return
    for cut in _cuts(dataset, data, validation, uses_given_folds):
        if dataset.groups is not None:
            _check_groups(dataset.groups.numpy(), cut, data)
        if dataset.times is not None:
            _check_times(dataset.times.numpy(), cut, data)
    if dataset.times is None or not uses_given_folds or dataset.given_test is not None:
        return
    if data.test != 0:
        raise DataError(
            f"the rows that validate are the latest by {data.time}, and a test must be later "
            "still: none is left for it. Write test: 0, or name a file of later rows, or leave "
            "time out.",
            "data.test",
        )


def _cuts(
    dataset: Dataset, data: DataSettings, validation: ValidationSettings, uses_given_folds: bool
) -> Iterator[_Cut]:
    search = np.arange(len(dataset.y))
    validates = setting_of(validation)
    if dataset.given_test is not None:
        test = dataset.given_test.numpy()
        search = np.setdiff1d(search, test)
        setting = "data.test" if isinstance(data.test, str) else validates
        yield _Cut(setting, search, test, "of the test", "searched on")
    if uses_given_folds:
        assert dataset.given_folds is not None
        marks = dataset.given_folds.numpy()[search]
        for fold in np.unique(marks[marks >= 0]):
            which = "that validate" if marks.max() == 0 else f"of fold {fold}"
            is_valid = marks == fold
            yield _Cut(validates, search[~is_valid], search[is_valid], which, "to train on")


def setting_of(validation: ValidationSettings) -> str:
    """What names the rows that validate."""
    ways = ("file", "column", "folder")
    return next((f"validation.{way}" for way in ways if getattr(validation, way)), "validation")


def _check_groups(groups: Rows, cut: _Cut, data: DataSettings) -> None:
    both = np.intersect1d(groups[cut.judged], groups[cut.learned])
    if len(both):
        n_rows = int(np.isin(groups[cut.judged], both).sum())
        n = count(len(both), "group stands", "groups stand")
        raise DataError(
            f"{n} on both sides: in {n_rows:,} of {count(len(cut.judged), 'row')} {cut.judge}, "
            f"and in rows {cut.learn}, though groups of {data.group} are to stay whole. Leave "
            "group out, or put each group on one side.",
            cut.setting,
        )


def _check_times(times: NDArray[np.float64], cut: _Cut, data: DataSettings) -> None:
    if not len(cut.learned):
        return
    n_early = int((times[cut.judged] <= times[cut.learned].max()).sum())
    if n_early:
        raise DataError(
            f"{n_early:,} of {count(len(cut.judged), 'row')} {cut.judge} "
            f"{'is' if n_early == 1 else 'are'} not later, by {data.time}, than all rows "
            f"{cut.learn}. Leave time out, or judge on the latest rows.",
            cut.setting,
        )
