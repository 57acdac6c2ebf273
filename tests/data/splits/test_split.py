from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given as given_values
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)

from tunecli.data.rows.dataset import Dataset
from tunecli.data.splits.split import split, validation_in_words
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

FOLDS = ValidationSettings(folds=5)


def data(test: float = 0.2, split_seed: int = 0) -> DataSettings:
    return DataSettings(source="iris", test=test, split_seed=split_seed)


def rows(counts: list[int]) -> Dataset:
    """A classification set with so many rows of each class, in mixed order."""
    y = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]
    names = [f"class {label}" for label in range(len(counts))]
    return Dataset("rows", "classification", torch.zeros(len(y), 1), y, names)


def values(n: int) -> Dataset:
    return Dataset("values", "regression", torch.zeros(n, 1), torch.arange(n, dtype=torch.float32))


def grouped(n: int, n_groups: int, seed: int = 0) -> Dataset:
    """Two classes, in groups of different sizes."""
    random = np.random.default_rng(seed)
    groups = np.append(np.arange(n_groups), random.integers(0, n_groups, n - n_groups) ** 2)
    groups[n_groups:] %= n_groups
    return replace(rows([n // 2, n - n // 2]), groups=torch.from_numpy(random.permutation(groups)))


def timed(n: int, n_times: int = 10**6, seed: int = 0) -> Dataset:
    times = np.random.default_rng(seed).integers(0, n_times, n).astype(np.float64)
    return replace(values(n), times=torch.from_numpy(times))


def copied(n: int, n_different: int, seed: int = 0) -> Dataset:
    own = np.random.default_rng(seed).integers(0, n_different, n)
    _, firsts = np.unique(own, return_index=True)
    copies = firsts[np.unique(own, return_inverse=True)[1]]
    y = torch.from_numpy(copies % 2)
    return Dataset(
        "copies",
        "classification",
        torch.zeros(n, 1),
        y,
        ["a", "b"],
        copies=torch.from_numpy(copies),
    )


def many_groups() -> Dataset:
    """More than are stratified by class."""
    return grouped(6000, 5001)


def given(marks: list[int]) -> Dataset:
    return replace(values(len(marks)), given_folds=torch.tensor(marks))


validations = st.one_of(
    st.builds(
        ValidationSettings, folds=st.integers(2, 6), repeats=st.integers(1, 3), holdout=st.none()
    ),
    st.builds(
        ValidationSettings,
        folds=st.none(),
        repeats=st.integers(1, 3),
        holdout=st.sampled_from([0.2, 0.33, 0.5]),
    ),
)
sets = st.one_of(
    st.lists(st.integers(16, 40), min_size=2, max_size=4).map(rows),
    st.integers(24, 90).map(values),
)


@settings(max_examples=150, deadline=None)
@given_values(sets, validations, st.sampled_from([0.0, 0.2, 0.4]), st.integers(0, 2**32 - 1))
def test_parts_partition_the_rows(
    dataset: Dataset, validation: ValidationSettings, test: float, split_seed: int
) -> None:
    parts = split(dataset, data(test, split_seed), validation)
    everything = torch.cat([parts.search_rows, parts.test_rows])
    assert torch.equal(everything.sort().values, torch.arange(len(dataset.y)))
    assert len(parts.folds) == (validation.folds or 1) * validation.repeats
    for train, valid in parts.folds:
        assert min(len(train), len(valid)) > 0
        assert train.dtype == valid.dtype == torch.int64
        assert torch.equal(torch.cat([train, valid]).sort().values, parts.search_rows)
    if validation.folds:
        for first in range(0, len(parts.folds), validation.folds):
            held = [valid for _, valid in parts.folds[first : first + validation.folds]]
            assert torch.equal(torch.cat(held).sort().values, parts.search_rows)


@settings(max_examples=50, deadline=None)
@given_values(st.lists(st.integers(12, 60), min_size=2, max_size=4), validations)
def test_every_part_of_a_classification_has_its_share_of_each_class(
    counts: list[int], validation: ValidationSettings
) -> None:
    dataset = rows(counts)
    parts = split(dataset, data(), validation)
    shares = np.array(counts) / sum(counts)
    for _, valid in parts.folds:
        found = np.bincount(dataset.y[valid].numpy(), minlength=len(counts))
        assert np.abs(found - shares * len(valid)).max() <= 2


def test_split_seed_alone_decides() -> None:
    dataset = rows([30, 30])
    one, again = (split(dataset, data(split_seed=1), FOLDS) for _ in range(2))
    assert torch.equal(one.test_rows, again.test_rows)
    assert all(torch.equal(a[1], b[1]) for a, b in zip(one.folds, again.folds, strict=True))
    other = split(dataset, data(split_seed=2), FOLDS)
    assert not torch.equal(one.test_rows, other.test_rows)


def test_the_test_set_does_not_depend_on_the_validation() -> None:
    dataset = values(100)
    holdout = ValidationSettings(holdout=0.3)
    assert torch.equal(
        split(dataset, data(), FOLDS).test_rows, split(dataset, data(), holdout).test_rows
    )


def test_folds_are_scikit_learns() -> None:
    dataset = rows([40, 20])
    y = dataset.y.numpy()
    parts = split(dataset, data(split_seed=3), FOLDS)
    search, test = train_test_split(np.arange(60), test_size=0.2, stratify=y, random_state=3)
    assert np.array_equal(parts.test_rows.numpy(), np.sort(test))
    search = np.sort(search)
    splitter = StratifiedKFold(5, shuffle=True, random_state=3)
    for (_, valid), (_, expected) in zip(
        parts.folds, splitter.split(search, y[search]), strict=True
    ):
        assert np.array_equal(valid.numpy(), search[expected])


def test_repeats_are_different_partitions() -> None:
    parts = split(values(40), data(), ValidationSettings(folds=4, repeats=2))
    assert not torch.equal(parts.folds[0][1], parts.folds[4][1])


@pytest.mark.parametrize(
    ("dataset", "settings", "validation", "message"),
    [
        (
            rows([30, 4]),
            data(0.0),
            FOLDS,
            "class 'class 1' has 4 rows for the search, too few for 5 folds: each "
            "validation part needs one. Write validation: {folds: …} with fewer than 5",
        ),
        (rows([30, 1]), data(), FOLDS, "data.test: class 'class 1' has 1 row, so it cannot be in"),
        (
            rows([30, 1]),
            data(0.0),
            ValidationSettings(holdout=0.5),
            "validation.holdout: class 'class 1' has 1 row",
        ),
        (
            rows([5, 5, 5]),
            data(0.1),
            FOLDS,
            "data.test: 0.1 of 15 rows makes parts of 2 and 13, but each needs at least 3.",
        ),
        (values(6), data(0.0), FOLDS, "6 rows are too few for 5 folds of at least two rows"),
        (values(1), data(), FOLDS, "0.2 of 1 row makes parts of 1 and 0"),
    ],
)
def test_too_little_data_is_told_with_a_way_out(
    dataset: Dataset, settings: DataSettings, validation: ValidationSettings, message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        split(dataset, settings, validation)


@pytest.mark.parametrize(
    ("validation", "dataset", "words"),
    [
        (FOLDS, rows([5, 5]), "5 stratified folds"),
        (ValidationSettings(folds=3, repeats=2), values(5), "3 folds, 2 times"),
        (ValidationSettings(holdout=0.2), rows([5, 5]), "a stratified holdout of 0.2"),
        (FOLDS, grouped(9, 3), "5 stratified folds, groups kept whole"),
        (
            ValidationSettings(holdout=0.2),
            grouped(9, 3),
            "a stratified holdout of 0.2, groups kept whole",
        ),
        (FOLDS, many_groups(), "5 folds, groups kept whole"),
        (ValidationSettings(holdout=0.2), many_groups(), "a holdout of 0.2, groups kept whole"),
        (FOLDS, timed(9), "5 folds, validated on later rows"),
        (ValidationSettings(file="b.csv"), given([-1, 0, 0]), "the 2 rows of b.csv"),
        (ValidationSettings(column="c"), given([-1, 0]), "the 1 row marked by the column c"),
        (ValidationSettings(column="c"), given([1, 0]), "2 folds, as numbered by the column c"),
        (ValidationSettings(), given([1, 0]), "2 folds, as numbered by the data"),
        (FOLDS, given([1, 0]), "5 folds"),
    ],
)
def test_validation_in_words(validation: ValidationSettings, dataset: Dataset, words: str) -> None:
    assert validation_in_words(validation, dataset) == words


def together(parts: list[torch.Tensor], marks: torch.Tensor) -> bool:
    """Whether no mark stands in two parts."""
    found = [set(marks[part].tolist()) for part in parts]
    return len(set().union(*found)) == sum(map(len, found))


@settings(max_examples=60, deadline=None)
@given_values(
    st.integers(60, 120),
    st.integers(20, 30),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from(
        [
            ValidationSettings(folds=3),
            ValidationSettings(folds=2, repeats=3),
            ValidationSettings(holdout=0.3, repeats=2),
        ]
    ),
)
def test_groups_are_never_taken_apart(
    n: int, n_groups: int, seed: int, test: float, validation: ValidationSettings
) -> None:
    dataset = grouped(n, n_groups, seed)
    assert dataset.groups is not None
    parts = split(dataset, data(test, seed), validation)
    assert together([parts.search_rows, parts.test_rows], dataset.groups)
    for train, valid in parts.folds:
        assert together([train, valid], dataset.groups)
        assert len(train) + len(valid) == len(parts.search_rows)


@settings(max_examples=40, deadline=None)
@given_values(
    st.lists(st.integers(4, 30), min_size=2, max_size=3),
    st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.4, 0.5]),
    st.integers(0, 2**32 - 1),
)
def test_a_holdout_of_groups_has_its_share_of_each_class(
    n_groups: list[int], share: float, seed: int
) -> None:
    """Of groups of four rows and one class, so that it can be had."""
    dataset = rows([4 * n for n in n_groups])
    order = dataset.y.argsort()
    groups = torch.empty(len(order), dtype=torch.int64)
    groups[order] = torch.arange(len(order)) // 4
    dataset = replace(dataset, groups=groups)
    validation = ValidationSettings(holdout=share, repeats=2)
    parts = split(dataset, data(0.0, seed), validation)
    shares = np.array(n_groups) / sum(n_groups)
    for train, valid in parts.folds:
        assert together([train, valid], groups)
        n_valid = len(valid) // 4
        assert abs(n_valid - share * sum(n_groups)) <= 2
        found = np.bincount(dataset.y[valid].numpy(), minlength=len(n_groups)) / 4
        assert np.abs(found - shares * n_valid).max() <= 2


def test_a_holdout_of_groups_is_one_of_scikit_learns_folds_and_each_repeat_another() -> None:
    dataset = grouped(120, 30)
    assert dataset.groups is not None
    parts = split(dataset, data(0.0, 3), ValidationSettings(holdout=0.2, repeats=2))
    for (_, valid), seed in zip(parts.folds, (3, 4), strict=True):
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        folds = [v.tolist() for _, v in splitter.split(dataset.y, dataset.y, dataset.groups)]
        assert valid.tolist() in folds
    assert not torch.equal(parts.folds[0][1], parts.folds[1][1])


@pytest.mark.parametrize("split_seed", range(8))
@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_a_class_of_two_groups_is_on_both_sides_of_a_holdout(
    share: float, split_seed: int
) -> None:
    dataset = rows([380, 20])
    order = dataset.y.argsort()
    groups = torch.empty(400, dtype=torch.int64)
    groups[order] = torch.arange(400) // 10
    dataset = replace(dataset, groups=groups)
    ((train, valid),) = split(
        dataset, data(0.0, split_seed), ValidationSettings(holdout=share)
    ).folds
    assert (int(dataset.y[train].sum()), int(dataset.y[valid].sum())) == (10, 10)


def test_many_groups_are_not_taken_apart_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunecli.data.splits.splitters.MANY_GROUPS", 10)
    dataset = grouped(200, 40)
    assert dataset.groups is not None
    for train, valid in split(dataset, data(), FOLDS).folds:
        assert together([train, valid], dataset.groups)


@settings(max_examples=60, deadline=None)
@given_values(st.integers(60, 120), st.integers(35, 60), st.integers(0, 2**32 - 1))
def test_copies_stay_together_and_every_row_validates_once(
    n: int, n_different: int, seed: int
) -> None:
    dataset = copied(n, n_different, seed)
    assert dataset.copies is not None
    for validation in (ValidationSettings(folds=3), ValidationSettings(holdout=0.3)):
        parts = split(dataset, data(0.2, seed), validation)
        assert together([parts.search_rows, parts.test_rows], dataset.copies)
        for train, valid in parts.folds:
            assert together([train, valid], dataset.copies)
            assert torch.equal(torch.cat([train, valid]).sort().values, parts.search_rows)
        if validation.folds:
            held = torch.cat([valid for _, valid in parts.folds])
            assert torch.equal(held.sort().values, parts.search_rows)


def test_without_copies_it_makes_no_difference_whether_they_are_looked_for() -> None:
    dataset = rows([40, 20])
    looked = replace(dataset, copies=torch.arange(60))
    for validation in (FOLDS, ValidationSettings(holdout=0.25)):
        one, other = (split(d, data(), validation) for d in (dataset, looked))
        assert torch.equal(one.test_rows, other.test_rows)
        for a, b in zip(one.folds, other.folds, strict=True):
            assert torch.equal(a[1], b[1])


@settings(max_examples=60, deadline=None)
@given_values(
    st.integers(30, 90),
    st.sampled_from([30, 1000]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([ValidationSettings(folds=3), ValidationSettings(holdout=0.3)]),
)
def test_nothing_is_trained_on_that_is_as_late_as_what_validates(
    n: int, n_times: int, seed: int, test: float, validation: ValidationSettings
) -> None:
    dataset = timed(n, n_times, seed)
    assert dataset.times is not None
    times = dataset.times
    try:
        parts = split(dataset, data(test), validation)
    except DataError as error:
        assert "cannot be cut by time" in str(error)  # noqa: PT017
        return
    if test:
        assert times[parts.search_rows].max() < times[parts.test_rows].min()
    ends = []
    for train, valid in parts.folds:
        assert times[train].max() < times[valid].min()
        ends.append(times[valid].max())
    assert ends == sorted(ends)
    assert ends[-1] == times[parts.search_rows].max()


def test_folds_in_time_are_scikit_learns() -> None:
    dataset = replace(values(50), times=torch.arange(50).double().flip(0))
    parts = split(dataset, data(0.0), ValidationSettings(folds=4))
    oracle = TimeSeriesSplit(4).split(np.arange(50))
    for (train, valid), (early, late) in zip(parts.folds, oracle, strict=True):
        assert train.flip(0).tolist() == (49 - early).tolist()
        assert valid.flip(0).tolist() == (49 - late).tolist()


def test_time_has_no_repeats() -> None:
    with pytest.raises(DataError, match=r"validation.repeats: every repeat has the same folds"):
        split(timed(50), data(), ValidationSettings(folds=3, repeats=2))


def test_given_rows_validate_and_the_test_is_cut_from_the_others() -> None:
    marks = [0] * 20 + [-1] * 80
    parts = split(given(marks), data(0.25), ValidationSettings(column="c"))
    ((train, valid),) = parts.folds
    assert valid.tolist() == list(range(20))
    assert len(parts.test_rows) == 20
    assert set(parts.test_rows.tolist()) <= set(range(20, 100))
    assert sorted([*train.tolist(), *parts.test_rows.tolist()]) == list(range(20, 100))


def test_given_folds_are_used_as_they_are_numbered() -> None:
    marks = [2, 0, 1, -1, 0, 2]
    parts = split(given(marks), data(0.0), ValidationSettings(column="c"))
    assert [valid.tolist() for _, valid in parts.folds] == [[1, 4], [2], [0, 5]]
    assert [train.tolist() for train, _ in parts.folds] == [
        [0, 2, 3, 5],
        [0, 1, 3, 4, 5],
        [1, 2, 3, 4],
    ]


def test_a_given_test_is_put_away_whatever_the_share() -> None:
    dataset = replace(values(30), given_test=torch.tensor([4, 2, 9]))
    parts = split(dataset, data(0.5), FOLDS)
    assert parts.test_rows.tolist() == [2, 4, 9]
    assert len(parts.search_rows) == 27


def test_folds_instead_of_given_rows_take_all_rows() -> None:
    parts = split(given([0, -1] * 15), data(0.0), FOLDS)
    assert len(parts.folds) == 5


@pytest.mark.parametrize(
    ("dataset", "validation", "message"),
    [
        (given([0, 0, 0]), ValidationSettings(column="c"), "all rows are validation rows"),
        (
            grouped(30, 3),
            FOLDS,
            "validation.folds: 3 groups are too few for 5 folds of at least two groups",
        ),
        (grouped(30, 1), ValidationSettings(holdout=0.2), "0.2 of 1 group makes parts of 1 and 0"),
        (
            replace(rows([20, 10]), given_folds=(rows([20, 10]).y - 1)),
            ValidationSettings(file="october.csv"),
            "validation.file: class 'class 1' has no training row. Split the rows differently",
        ),
        (
            replace(rows([20, 10, 10]), given_folds=rows([20, 10, 10]).y),
            ValidationSettings(column="c"),
            "validation.column: class 'class 0' has no training row in fold 0.",
        ),
        (
            replace(rows([30, 10]), times=rows([30, 10]).y.double() + torch.arange(40) / 100),
            FOLDS,
            "validation.folds: class 'class 1' has no training row in fold 0.",
        ),
        (
            replace(rows([30, 10]), given_test=rows([30, 10]).y.nonzero().flatten()),
            FOLDS,
            "data.test: class 'class 1' is only in the test set, and the search has no row of it",
        ),
        (timed(30, 3), FOLDS, "3 times are too few for 5 folds of at least two times"),
        (
            replace(values(30), times=torch.tensor([0.0] * 28 + [1.0, 2.0])),
            ValidationSettings(holdout=0.2),
            "data.time: the rows cannot be cut by time into 1 validation part: 3 distinct times "
            "are too few, or one of them has too many rows.",
        ),
    ],
)
def test_what_cannot_be_taken_apart_is_told(
    dataset: Dataset, validation: ValidationSettings, message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        split(dataset, data(0.0), validation)


def test_folds_are_the_same_in_every_process() -> None:
    code = """
import numpy as np, torch
from tunecli.data.rows.dataset import Dataset
from tunecli.data.splits.split import split
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
y = torch.arange(200) % 3
groups = torch.arange(200) // 4
data = Dataset("d", "classification", torch.zeros(200, 1), y, list("abc"), groups=groups)
parts = split(data, DataSettings(source="iris"), ValidationSettings(folds=3, repeats=2))
print([fold[1].tolist() for fold in parts.folds])
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    }
    assert len(said) == 1
