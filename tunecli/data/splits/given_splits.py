"""Check that the splits that a source defines respect its groups and times.

Splits that tunecli makes do so by construction. Given splits are the user's, and so are `group`
and `time`: if they contradict each other, only the user knows which is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.data.rows.dataset import Dataset
from tunecli.data.splits.splitters import rows_outside
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.text.counts import count

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class _Cut:
    """Rows to learn from, and rows to judge on.

    Attributes:
        setting: the setting that defines the cut.
        judge, learn: the names of these rows in messages.
    """

    setting: str
    learned: Rows
    judged: Rows
    judge: str
    learn: str


def check_given(
    dataset: Dataset, data: DataSettings, validation: ValidationSettings, uses_given_folds: bool
) -> None:
    """Refuse given splits that divide groups, or that judge on rows earlier than training rows.

    Args:
        uses_given_folds: whether trials are scored on `dataset.given_folds`.

    Raises:
        DataError: groups or times contradict the splits; with the number of groups or rows.
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
            f"the validation rows are the latest by {data.time}, so no later rows are left for "
            "the test set. Write test: 0, name a file of later rows, or remove time.",
            "data.test",
        )


def _cuts(
    dataset: Dataset, data: DataSettings, validation: ValidationSettings, uses_given_folds: bool
) -> Iterator[_Cut]:
    search = np.arange(len(dataset.y))
    validates = setting_of(validation)
    if dataset.given_test is not None:
        test = dataset.given_test.numpy()
        search = rows_outside(len(search), test)
        setting = "data.test" if isinstance(data.test, str) else validates
        yield _Cut(setting, search, test, "test rows", "search rows")
    if uses_given_folds:
        assert dataset.given_folds is not None
        marks = dataset.given_folds.numpy()[search]
        for fold in np.unique(marks[marks >= 0]):
            which = "validation rows" if marks.max() == 0 else f"rows of fold {fold}"
            is_valid = marks == fold
            yield _Cut(validates, search[~is_valid], search[is_valid], which, "training rows")


def setting_of(validation: ValidationSettings) -> str:
    """Return the setting that defines the validation rows."""
    ways = ("file", "column", "folder")
    return next((f"validation.{way}" for way in ways if getattr(validation, way)), "validation")


def _check_groups(groups: Rows, cut: _Cut, data: DataSettings) -> None:
    both = np.intersect1d(groups[cut.judged], groups[cut.learned])
    if len(both):
        n_rows = int(np.isin(groups[cut.judged], both).sum())
        n = count(len(both), "group is", "groups are")
        raise DataError(
            f"groups of {data.group} must stay whole, but {n} in both the {cut.learn} and the "
            f"{cut.judge} ({n_rows:,} of {len(cut.judged):,} {cut.judge} are affected). Remove "
            "group, or put each group on one side.",
            cut.setting,
        )


def _check_times(times: NDArray[np.float64], cut: _Cut, data: DataSettings) -> None:
    if not len(cut.learned):
        return
    n_early = int((times[cut.judged] <= times[cut.learned].max()).sum())
    if n_early:
        raise DataError(
            f"{cut.judge} must have a later {data.time} than all {cut.learn}, but {n_early:,} of "
            f"{len(cut.judged):,} {'does' if n_early == 1 else 'do'} not. Remove time, or use "
            "later rows.",
            cut.setting,
        )
