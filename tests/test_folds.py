from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold, train_test_split

from tunecli.data.dataset import Dataset
from tunecli.data.folds import n_fits, split, validation_in_words
from tunecli.errors import DataError
from tunecli.study_file.settings import DataSettings, ValidationSettings

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
@given(sets, validations, st.sampled_from([0.0, 0.2, 0.4]), st.integers(0, 2**32 - 1))
def test_parts_partition_the_rows(
    dataset: Dataset, validation: ValidationSettings, test: float, split_seed: int
) -> None:
    parts = split(dataset, data(test, split_seed), validation)
    everything = torch.cat([parts.search_rows, parts.test_rows])
    assert torch.equal(everything.sort().values, torch.arange(len(dataset.y)))
    assert len(parts.folds) == n_fits(validation)
    for train, valid in parts.folds:
        assert min(len(train), len(valid)) > 0
        assert train.dtype == valid.dtype == torch.int64
        assert torch.equal(torch.cat([train, valid]).sort().values, parts.search_rows)
    if validation.folds:
        for first in range(0, len(parts.folds), validation.folds):
            held = [valid for _, valid in parts.folds[first : first + validation.folds]]
            assert torch.equal(torch.cat(held).sort().values, parts.search_rows)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(12, 60), min_size=2, max_size=4), validations)
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
            "class 'class 1' has 4 of the rows to search on, too few for 5 folds: each "
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
            "data.test: 0.1 of 15 rows leaves 2 and 13, but both parts need at least 3.",
        ),
        (values(6), data(0.0), FOLDS, "6 rows are too few for 5 folds of two rows"),
        (values(1), data(), FOLDS, "0.2 of 1 rows leaves 1 and 0"),
        (values(30), data(split_seed=2**32), FOLDS, "split_seed must be at most 4294967295"),
    ],
)
def test_too_little_data_is_told_with_a_way_out(
    dataset: Dataset, settings: DataSettings, validation: ValidationSettings, message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        split(dataset, settings, validation)


@pytest.mark.parametrize(
    ("validation", "stratified", "words"),
    [
        (FOLDS, True, "5 stratified folds"),
        (ValidationSettings(folds=3, repeats=2), False, "3 folds, 2 times"),
        (ValidationSettings(holdout=0.2), True, "a stratified holdout of 0.2"),
    ],
)
def test_validation_in_words(validation: ValidationSettings, stratified: bool, words: str) -> None:
    assert validation_in_words(validation, stratified) == words
