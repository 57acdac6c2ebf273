"""Decide which rows are held out for the test, and which train and validate in each fold.

This is a pure function of the data and the settings: only `split_seed` decides, never the study's
`seed`, so that two studies on the same data never train on each other's test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import PredefinedSplit
from torch import Tensor

from tunecli.data.rows.dataset import Dataset
from tunecli.data.splits.given_splits import check_given, setting_of
from tunecli.data.splits.splitters import ByTime, Pairs, Rows, Splitter, are_few, splitter_of
from tunecli.errors import DataError
from tunecli.study_file.read import defaults
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.text.counts import count

STRATIFIED = ("classification", "multilabel")
"""Tasks whose drawn parts get their share of each class or label."""


@dataclass(frozen=True)
class Split:
    """Row indices of all parts in the data set, each (n,) int64 and ascending.

    Attributes:
        search_rows: the rows that trials see.
        test_rows: the rows that trials never see; empty without a test set.
        folds: (training rows, validation rows) of each fold; both of them search rows.
    """

    search_rows: Tensor
    test_rows: Tensor
    folds: tuple[tuple[Tensor, Tensor], ...]

    def weighted(self, weights: Tensor) -> Split:
        """Remove search and training rows with weight 0, so that nothing is fitted on them.

        Args:
            weights: the weights of all rows of the data set.

        Raises:
            DataError: a part has no row with a positive weight.
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
            message = f"no row of the {empty[0]} has a weight above 0. Add rows with a weight."
            raise DataError(message, "data.weights")
        return Split(counting(self.search_rows), self.test_rows, folds)


def split(dataset: Dataset, data: DataSettings, validation: ValidationSettings) -> Split:
    """Cut the test set first, then the folds from what is left; stratified by classes or labels.

    Equal rows stay together, and so do groups. With times, test and validation rows are later than
    training rows; with times and groups, they are also from other groups, and rows on the wrong
    side are left out. Given splits are used unchanged, even if they separate copies, but refused
    if groups or times contradict them.

    Args:
        dataset: the data; its targets, groups, times, copies and given splits matter, its features
            do not.
        data: the settings; `test` and `split_seed` are read.
        validation: `folds` or `holdout`, or neither if the data marks its validation rows.

    Raises:
        DataError: there are too few rows, groups or times, or too few rows of a class; or groups
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
    in_order = (
        (_tensor(np.sort(search[train])), _tensor(np.sort(search[valid])))
        for train, valid in folds
    )
    parts = Split(_tensor(search), _tensor(test), tuple(in_order))
    _check_trained(dataset, parts, validation)
    return parts


def is_given(dataset: Dataset, validation: ValidationSettings) -> bool:
    """Return whether the data's own validation rows are used."""
    return dataset.given_folds is not None and not (validation.folds or validation.holdout)


def _test_cut(
    dataset: Dataset, data: DataSettings, validation: ValidationSettings, splitter: Splitter
) -> tuple[Rows, Rows]:
    """Return the search rows and the test rows, each ascending.

    If the source defines one validation part, the test set is drawn from the other rows.
    """
    rows, is_searched = np.arange(len(dataset.y)), np.ones(len(dataset.y), dtype=bool)
    if dataset.given_test is not None:
        test = np.sort(dataset.given_test.numpy())
        is_searched[test] = False
        return np.flatnonzero(is_searched), test
    share = defaults.TEST if data.test is None else data.test
    assert not isinstance(share, str), "a test file makes a given test set"
    if not share:
        return rows, rows[:0]
    candidates = rows
    if is_given(dataset, validation) and dataset.given_folds is not None:
        marks = dataset.given_folds.numpy()
        candidates = rows[marks < 0] if marks.max() == 0 else rows
    _check_cut(dataset, candidates, share, "data.test")
    kept, cut = next(iter(splitter.holdout(candidates, strata_of(dataset, candidates), share, 1)))
    is_searched[candidates] = False  # groups may leave out more than the test
    is_searched[candidates[kept]] = True
    return np.flatnonzero(is_searched), np.sort(candidates[cut])


def left_out(dataset: Dataset, parts: Split, validation: ValidationSettings) -> list[str]:
    """Note how many rows are in no part because of their group and their time.

    Args:
        dataset: a data set with groups and times.
        parts: its split, before rows without weight are removed.
    """
    assert dataset.times is not None, "without times no row is left out"
    search = parts.search_rows.numpy()
    of_test = len(dataset.y) - len(search) - len(parts.test_rows)
    if is_given(dataset, validation):
        return _left_out_note(of_test, [0])
    once = validation.model_copy(update={"repeats": 1})
    cuts = _new_folds(dataset, search, once, ByTime(dataset.times.numpy()))
    wanted = [len(train) + len(valid) for train, valid in cuts] * validation.repeats
    kept = [len(train) + len(valid) for train, valid in parts.folds]
    return _left_out_note(of_test, [a - b for a, b in zip(wanted, kept, strict=True)])


def _left_out_note(of_test: int, of_folds: Sequence[int]) -> list[str]:
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
    groups = "If a group spans a split in time, only its rows on one side are used"
    return [f"{groups}, so {', and '.join(counts)}."]


def _given_folds(dataset: Dataset, search: Rows) -> Pairs:
    assert dataset.given_folds is not None
    folds = list(PredefinedSplit(dataset.given_folds.numpy()[search]).split())
    if not folds:
        raise DataError("no validation row is left: all given ones are in the test set.")
    if any(len(train) == 0 for train, _ in folds):
        raise DataError("all rows are validation rows: none is left to train on.", "validation")
    return folds


def _new_folds(
    dataset: Dataset, search: Rows, validation: ValidationSettings, splitter: Splitter
) -> Pairs:
    strata = strata_of(dataset, search)
    if validation.folds is None:
        assert validation.holdout is not None, "the study file's defaults are filled in"
        _check_cut(dataset, search, validation.holdout, "validation.holdout")
        return splitter.holdout(search, strata, validation.holdout, validation.repeats)
    _check_folds(dataset, search, validation.folds)
    return splitter.folds(search, strata, validation.folds, validation.repeats)


def validation_in_words(validation: ValidationSettings, dataset: Dataset) -> str:
    """Describe the folds for the screen, such as `5 stratified folds`."""
    if is_given(dataset, validation):
        return _given_in_words(validation, dataset)
    kind = "stratified " if _is_stratified(dataset) else ""
    times = f", {validation.repeats} times" if validation.repeats > 1 else ""
    apart = ""
    if dataset.is_one_text and not validation.folds:
        return f"the last {validation.holdout:g} of the text"
    if dataset.is_one_text:
        apart = ", validated on later text"
    elif dataset.times is not None and dataset.groups is not None:
        apart = ", validated on later rows of other groups"
    elif dataset.times is not None:
        apart = ", validated on later rows"
    elif dataset.groups is not None:
        apart = ", groups kept whole"
    if validation.folds:
        return f"{validation.folds} {kind}folds{times}{apart}"
    return f"a {kind}holdout of {validation.holdout:g}{times}{apart}"


def _is_stratified(dataset: Dataset) -> bool:
    """Return whether drawn parts get their share of each class or label."""
    if dataset.task not in STRATIFIED or dataset.times is not None:
        return False
    if dataset.task == "multilabel":
        return dataset.groups is None
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
        return f"the {count(n_rows, 'row')} marked by {source}"
    return f"{count(n_folds, 'fold')}, as numbered by {source}"


def _tensor(rows: Rows) -> Tensor:
    return torch.from_numpy(rows.astype(np.int64))


def strata_of(dataset: Dataset, rows: Rows) -> Rows | None:
    """Return the class, or which labels, of each row; None for regression."""
    return dataset.y.numpy()[rows] if dataset.task in STRATIFIED else None


def _check_folds(dataset: Dataset, search: Rows, n_folds: int) -> None:
    """Refuse folds unless every class can be in every validation part and rows suffice."""
    ways = f"Write validation: {{folds: …}} with fewer than {n_folds}, or use more data."
    n_rows, what = _n_units(dataset, search)
    if n_rows < 2 * n_folds:
        raise DataError(
            f"{count(n_rows, f'{what} is', f'{what}s are')} too few for {n_folds} folds of at "
            f"least two {what}s. {ways}",
            "validation.folds",
        )
    if dataset.times is not None:
        return
    for name, n in _class_counts(dataset, search):
        if n < n_folds:
            raise DataError(
                f"class {name!r} has {count(n, what)} for the search, too "
                f"few for {n_folds} folds: each validation part needs one. {ways}",
                "validation.folds",
            )


def _check_cut(dataset: Dataset, rows: Rows, share: float, setting: str) -> None:
    """Refuse to cut a share unless both parts get a row, and one of each class."""
    n_rows, what = _n_units(dataset, rows)
    n_cut = int(np.ceil(share * n_rows))  # as scikit-learn rounds
    is_free = dataset.times is not None or dataset.groups is not None
    needed = 1 if is_free else max(1, len(dataset.classes))
    if min(n_cut, n_rows - n_cut) < needed:
        raise DataError(
            f"{share:g} of {count(n_rows, what)} makes parts of {n_cut} and {n_rows - n_cut}, but "
            f"each needs at least {needed}. Choose another share, or use more data.",
            setting,
        )
    if dataset.times is not None:
        return
    for name, n in _class_counts(dataset, rows):
        if n < 2:
            raise DataError(
                f"class {name!r} has {n} {what}, so it cannot be in both "
                "parts. Remove the class, or use more data.",
                setting,
            )


def _check_searched(dataset: Dataset, search: Rows) -> None:
    """Refuse a class that only the test set has: it cannot be learned."""
    absent = _absent(dataset, _tensor(search))
    if absent:
        raise DataError(
            f"class {absent[0]!r} is only in the test set, and the search has no row of it. Hold "
            "out other rows (another share or data.split_seed), or remove the class.",
            "data.test",
        )


def _check_trained(dataset: Dataset, parts: Split, validation: ValidationSettings) -> None:
    """Refuse a split unless every training part has every class."""
    ways = "validation.folds" if validation.folds else "validation.holdout"
    setting = setting_of(validation) if is_given(dataset, validation) else ways
    for number, (train, _) in enumerate(parts.folds):
        absent = _absent(dataset, train)
        if absent:
            where = f" in fold {number}" if len(parts.folds) > 1 else ""
            raise DataError(
                f"class {absent[0]!r} has no training row{where}. Split the rows differently "
                "(fewer folds, another data.split_seed), or remove the class.",
                setting,
            )


def _absent(dataset: Dataset, rows: Tensor) -> list[str]:
    """Return the classes that no row has."""
    if dataset.task != "classification":
        return []
    counts = rows_per_class(dataset, rows)
    return [name for name, count in zip(dataset.classes, counts, strict=True) if not count]


def rows_per_class(dataset: Dataset, rows: Tensor) -> Rows:
    """Return how many of some rows are of each class, or have each label."""
    y = dataset.y[rows].numpy()
    if dataset.targets:
        of_labels: Rows = y.sum(0).astype(np.int64)
        return of_labels
    counts: Rows = np.bincount(y, minlength=len(dataset.classes))
    return counts


def _n_units(dataset: Dataset, rows: Rows) -> tuple[int, str]:
    """Return the number of units that can be split, and their name."""
    if dataset.times is not None:
        return len(np.unique(dataset.times.numpy()[rows])), "time"
    together = _together(dataset)
    n_units = len(rows) if together is None else len(np.unique(together[rows]))
    return n_units, "row" if dataset.groups is None else "group"


def _together(dataset: Dataset) -> Rows | None:
    """Return a number for each row, which it shares with the rows that stay with it."""
    numbers = dataset.groups if dataset.groups is not None else dataset.copies
    return None if numbers is None else numbers.numpy()


def _class_counts(dataset: Dataset, rows: Rows) -> list[tuple[str, int]]:
    """Count the rows, or groups with rows, of each class; empty for regression."""
    if dataset.task != "classification":
        return []
    y, together = dataset.y.numpy()[rows], _together(dataset)
    if together is not None:
        y = np.unique(np.stack([together[rows], y], axis=1), axis=0)[:, 1]
    counts = np.bincount(y, minlength=len(dataset.classes))
    return [(name, int(count)) for name, count in zip(dataset.classes, counts, strict=True)]


def copy_notes(dataset: Dataset, split: Split) -> list[str]:
    """Note how many rows are copies, and how many of them test what was trained on a copy.

    Copies usually stay together; only given splits, groups and times may separate them.
    """
    if dataset.copies is None:
        return []
    copies = dataset.copies.numpy()
    n_copies = len(copies) - len(np.unique(copies))
    if not n_copies:
        return []
    what = "row" if dataset.columns or dataset.text_columns else "picture"
    rows = count(n_copies, f"{what} is a copy", f"{what}s are copies")
    copied = f"{rows} of other {what}s, target included"
    seen = [valid[np.isin(copies[valid], copies[train])] for train, valid in split.folds]
    of_valid = np.unique(np.concatenate(seen))
    of_test = split.test_rows[np.isin(copies[split.test_rows], copies[split.search_rows])]
    if not len(of_valid) and not len(of_test):
        return [f"{copied}; copies stay together in every split."]
    return [
        f"{copied}.",
        *_seen(len(of_valid), f"validation {what}", "training"),
        *_seen(len(of_test), f"test {what}", "search"),
    ]


def _seen(n: int, what: str, others: str) -> list[str]:
    if not n:
        return []
    rows = count(n, f"{what} has a copy", f"{what}s have copies")
    return [f"{rows} in the {others} data, so the scores will be better than on new data."]
