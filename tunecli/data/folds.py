"""Which rows are put away for the test, and which train and validate in each fold.

One pure function of the data and the settings: `split_seed` alone decides, never the study's
`seed`, so that two studies on the same data never train on each other's test rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import PredefinedSplit
from torch import Tensor

from tunecli.data.dataset import Dataset
from tunecli.data.given_splits import check_given, setting_of
from tunecli.data.panel import ByTimeAndGroups, left_out_note
from tunecli.data.splitters import ByCopies, ByGroups, ByRows, ByTime, Splitter, are_few
from tunecli.errors import DataError
from tunecli.study_file import defaults
from tunecli.study_file.counts import count
from tunecli.study_file.settings import DataSettings, ValidationSettings

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Indices of rows in the data set, each (n,) int64 and ascending.

    Attributes:
        search_rows: those that trials see.
        test_rows: those that they never see; empty without a test set.
        folds: (training rows, validation rows) of each fold; both of them search rows.
    """

    search_rows: Tensor
    test_rows: Tensor
    folds: tuple[tuple[Tensor, Tensor], ...]

    def weighted(self, weights: Tensor) -> Split:
        """Without training rows that count nothing, so that nothing is fitted on them either.

        Args:
            weights: of all rows of the data set.

        Raises:
            DataError: of some part no row counts.
        """

        def counting(rows: Tensor) -> Tensor:
            return rows[weights[rows] > 0]

        folds = tuple((counting(train), valid) for train, valid in self.folds)
        parts = {"test part": self.test_rows}
        for number, (train, valid) in enumerate(folds):
            parts |= {f"training part of fold {number}": train}
            parts |= {f"validation part of fold {number}": valid}
        empty = [
            name
            for name, rows in parts.items()
            if not weights[rows].any() and (len(rows) or name != "test part")
        ]
        if empty:
            message = f"no row of the {empty[0]} has a weight above 0. Give it rows that count."
            raise DataError(message, "data.weights")
        return Split(counting(self.search_rows), self.test_rows, folds)


def split(dataset: Dataset, data: DataSettings, validation: ValidationSettings) -> Split:
    """Cut the test set first, then the folds from what is left; stratified for classification.

    Rows that are equal stay together, and so do groups; with times, test and validation rows are
    later than those before them; with both, they are also of other groups, and what would be on
    the wrong side is left out. Given splits are taken as they are, or refused where groups or
    times contradict them; copies they may take apart.

    Args:
        dataset: its targets, groups, times, copies and given splits matter, its features do not.
        data: `test` and `split_seed`.
        validation: `folds` or `holdout`, or neither where the data says which rows validate.

    Raises:
        DataError: if there are too few rows, groups or times, or too few of a class; or if groups
            or times contradict given splits.
    """
    check_given(dataset, data, validation, uses_given_folds=is_given(dataset, validation))
    splitter = splitter_of(dataset, data.split_seed)
    search, test = _test_cut(dataset, data, validation, splitter)
    _check_searched(dataset, search)
    if is_given(dataset, validation):
        folds = _given_folds(dataset, search)
    else:
        folds = _new_folds(dataset, search, validation, splitter)
    found = Split(_tensor(search), _tensor(test), tuple(_fold_rows(search, folds)))
    _check_trained(dataset, found, validation)
    return found


def is_given(dataset: Dataset, validation: ValidationSettings) -> bool:
    """Whether the data's own validation rows are used."""
    return dataset.given_folds is not None and not (validation.folds or validation.holdout)


def splitter_of(dataset: Dataset, seed: int) -> Splitter:
    """How rows of this data may be taken apart."""
    if dataset.times is not None and dataset.groups is not None:
        return ByTimeAndGroups(dataset.times.numpy(), dataset.groups.numpy(), seed)
    if dataset.times is not None:
        return ByTime(dataset.times.numpy())
    if dataset.groups is not None:
        return ByGroups(dataset.groups.numpy(), seed)
    if dataset.copies is not None:
        return ByCopies(dataset.copies.numpy(), seed)
    return ByRows(seed)


def _test_cut(
    dataset: Dataset, data: DataSettings, validation: ValidationSettings, splitter: Splitter
) -> tuple[Rows, Rows]:
    """Rows to search on and rows for the test, each ascending.

    Where one part of the rows is given to validate, the test set comes from the others.
    """
    rows = np.arange(len(dataset.y))
    if dataset.given_test is not None:
        test = np.sort(dataset.given_test.numpy())
        return np.setdiff1d(rows, test), test
    share = defaults.TEST if data.test is None else data.test
    assert not isinstance(share, str), "a test file makes a given test set"
    if not share:
        return rows, rows[:0]
    candidates = rows
    if is_given(dataset, validation) and dataset.given_folds is not None:
        marks = dataset.given_folds.numpy()
        candidates = rows[marks < 0] if marks.max() == 0 else rows
    _check_cut(dataset, candidates, share, "data.test")
    kept, cut = next(splitter.holdout(candidates, _strata(dataset, candidates), share, 1))
    away = np.setdiff1d(candidates, candidates[kept])  # groups may leave out more than the test
    return np.setdiff1d(rows, away), np.sort(candidates[cut])


def left_out(dataset: Dataset, found: Split, validation: ValidationSettings) -> list[str]:
    """A note on rows that are in no part, because of their group and their time.

    Args:
        dataset: has groups and times.
        found: before weights leave rows out.
    """
    assert dataset.times is not None, "without times no row is left out"
    search = found.search_rows.numpy()
    of_test = len(dataset.y) - len(search) - len(found.test_rows)
    if is_given(dataset, validation):
        return left_out_note(of_test, [0])
    once = validation.model_copy(update={"repeats": 1})
    cuts = _new_folds(dataset, search, once, ByTime(dataset.times.numpy()))
    wanted = [len(train) + len(valid) for train, valid in cuts] * validation.repeats
    kept = [len(train) + len(valid) for train, valid in found.folds]
    return left_out_note(of_test, [a - b for a, b in zip(wanted, kept, strict=True)])


def _given_folds(dataset: Dataset, search: Rows) -> Iterable[tuple[Rows, Rows]]:
    assert dataset.given_folds is not None
    folds = list(PredefinedSplit(dataset.given_folds.numpy()[search]).split())
    if not folds:
        raise DataError("no row is left to validate on: the given ones are all in the test set.")
    if any(len(train) == 0 for train, _ in folds):
        raise DataError("all rows validate, and none is left to train on.", "validation")
    return folds


def _new_folds(
    dataset: Dataset, search: Rows, validation: ValidationSettings, splitter: Splitter
) -> Iterable[tuple[Rows, Rows]]:
    strata = _strata(dataset, search)
    if validation.folds is None:
        assert validation.holdout is not None, "the study file's defaults are filled in"
        _check_cut(dataset, search, validation.holdout, "validation.holdout")
        return splitter.holdout(search, strata, validation.holdout, validation.repeats)
    _check_folds(dataset, search, validation.folds)
    return splitter.folds(search, strata, validation.folds, validation.repeats)


def validation_in_words(validation: ValidationSettings, dataset: Dataset) -> str:
    """For the screen, e.g. `5 stratified folds`."""
    if is_given(dataset, validation):
        return _given_in_words(validation, dataset)
    kind = "stratified " if _is_stratified(dataset) else ""
    times = f", {validation.repeats} times" if validation.repeats > 1 else ""
    apart = ""
    if dataset.times is not None and dataset.groups is not None:
        apart = ", on later rows of other groups than it trains on"
    elif dataset.times is not None:
        apart = ", on later rows than it trains on"
    elif dataset.groups is not None:
        apart = ", groups kept whole"
    if validation.folds:
        return f"{validation.folds} {kind}folds{times}{apart}"
    return f"a {kind}holdout of {validation.holdout:g}{times}{apart}"


def _is_stratified(dataset: Dataset) -> bool:
    """Whether parts that are drawn get their share of each class."""
    if dataset.task != "classification" or dataset.times is not None:
        return False
    return dataset.groups is None or are_few(dataset.groups.numpy())


def _given_in_words(validation: ValidationSettings, dataset: Dataset) -> str:
    assert dataset.given_folds is not None
    marks = dataset.given_folds.numpy()
    n_folds, n_rows = int(marks.max()) + 1, int((marks >= 0).sum())
    source = validation.file or validation.folder
    if source is not None:
        return f"the {count(n_rows, 'row')} of {source}"
    source = f"the column {validation.column}" if validation.column else "the data"
    if n_folds == 1:
        return f"the {count(n_rows, 'row')} that {source} marks"
    return f"{count(n_folds, 'fold')}, as {source} numbers them"


def _fold_rows(
    search: Rows, folds: Iterable[tuple[Rows, Rows]]
) -> Iterable[tuple[Tensor, Tensor]]:
    """Positions among the search rows, as rows of the data set."""
    for train, valid in folds:
        yield _tensor(np.sort(search[train])), _tensor(np.sort(search[valid]))


def _tensor(rows: Rows) -> Tensor:
    return torch.from_numpy(rows.astype(np.int64))


def _strata(dataset: Dataset, rows: Rows) -> Rows | None:
    """Class of each row; None for regression."""
    return dataset.y.numpy()[rows] if dataset.task == "classification" else None


def _check_folds(dataset: Dataset, search: Rows, n_folds: int) -> None:
    """Every class must be in every validation part, every fold must have rows to train on."""
    ways = f"Write validation: {{folds: …}} with fewer than {n_folds}, or use more data."
    n_rows, what = _n_units(dataset, search)
    if n_rows < 2 * n_folds:
        raise DataError(
            f"{count(n_rows, f'{what} is', f'{what}s are')} too few for {n_folds} folds of two "
            f"{what}s. {ways}",
            "validation.folds",
        )
    if dataset.times is not None:
        return
    for name, n in _class_counts(dataset, search):
        if n < n_folds:
            raise DataError(
                f"class {name!r} has {n:,} of the {what}s to search on, too few for "
                f"{n_folds} folds: each validation part needs one. {ways}",
                "validation.folds",
            )


def _check_cut(dataset: Dataset, rows: Rows, share: float, setting: str) -> None:
    """A share can be cut off if both parts get a row, and for each class one."""
    n_rows, what = _n_units(dataset, rows)
    n_cut = int(np.ceil(share * n_rows))  # as scikit-learn rounds
    is_free = dataset.times is not None or dataset.groups is not None
    needed = 1 if is_free else max(1, len(dataset.classes))
    if min(n_cut, n_rows - n_cut) < needed:
        raise DataError(
            f"{share:g} of {count(n_rows, what)} leaves {n_cut} and {n_rows - n_cut}, "
            f"but both parts need at least {needed}. Choose another share, or use more data.",
            setting,
        )
    if dataset.times is not None:
        return
    for name, n in _class_counts(dataset, rows):
        if n < 2:
            raise DataError(
                f"class {name!r} has {n} {what}, so it cannot be in both "
                "parts. Leave the class out, or use more data.",
                setting,
            )


def _check_searched(dataset: Dataset, search: Rows) -> None:
    """A class that stands in the test alone cannot be learned."""
    absent = _absent(dataset, _tensor(search))
    if absent:
        raise DataError(
            f"class {absent[0]!r} stands in the test alone, and no row of it is searched on. Put "
            "other rows away (another share or data.split_seed), or leave the class out.",
            "data.test",
        )


def _check_trained(dataset: Dataset, found: Split, validation: ValidationSettings) -> None:
    """Every class must be in every training part."""
    ways = "validation.folds" if validation.folds else "validation.holdout"
    setting = setting_of(validation) if is_given(dataset, validation) else ways
    for number, (train, _) in enumerate(found.folds):
        absent = _absent(dataset, train)
        if absent:
            where = f" in fold {number}" if len(found.folds) > 1 else ""
            raise DataError(
                f"class {absent[0]!r} has no row to train on{where}. Divide the rows otherwise "
                "(fewer folds, another data.split_seed), or leave the class out.",
                setting,
            )


def _absent(dataset: Dataset, rows: Tensor) -> list[str]:
    """Classes that no row has."""
    if dataset.task == "regression":
        return []
    counts = np.bincount(dataset.y[rows].numpy(), minlength=len(dataset.classes))
    return [name for name, count in zip(dataset.classes, counts, strict=True) if not count]


def _n_units(dataset: Dataset, rows: Rows) -> tuple[int, str]:
    """How many things can be taken apart, and what they are."""
    if dataset.times is not None:
        return len(np.unique(dataset.times.numpy()[rows])), "time"
    if dataset.groups is not None:
        return len(np.unique(dataset.groups.numpy()[rows])), "group"
    return len(_apart(dataset, rows)), "row"


def _apart(dataset: Dataset, rows: Rows) -> Rows:
    """One row of each that stay together."""
    together = dataset.groups if dataset.groups is not None else dataset.copies
    if together is None:
        return rows
    return rows[np.unique(together.numpy()[rows], return_index=True)[1]]


def _class_counts(dataset: Dataset, rows: Rows) -> list[tuple[str, int]]:
    """Of each class the rows, or the groups that have one; empty for regression."""
    if dataset.task == "regression":
        return []
    y = dataset.y.numpy()[rows]
    together = dataset.groups if dataset.groups is not None else dataset.copies
    if together is not None:
        pairs = np.unique(np.stack([together.numpy()[rows], y], axis=1), axis=0)
        y = pairs[:, 1]
    counts = np.bincount(y, minlength=len(dataset.classes))
    return [(name, int(count)) for name, count in zip(dataset.classes, counts, strict=True)]
