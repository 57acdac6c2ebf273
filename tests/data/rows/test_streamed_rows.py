from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from loaded_cases import N, Noisy, Pillow, Rows, x_of
from torch.utils.data import Dataset, IterableDataset

from tunecli.data.rows.streamed_rows import DatasetItems
from tunecli.errors import UserCodeError


def items(dataset: Dataset[Any]) -> DatasetItems:
    return DatasetItems("own.py:load", dataset)


@pytest.mark.parametrize("kind", [Rows, Noisy])
def test_items_are_the_same_alone_together_and_in_any_order(kind: type[Rows]) -> None:
    x = x_of("table")
    whole, y = items(kind(x)).pairs()
    assert y.tolist() == [i % 2 for i in range(N)]
    order = torch.randperm(N).tolist()
    assert np.array_equal(items(kind(x)).features(order), whole[order])
    assert np.array_equal(items(kind(x)).features([7])[0], whole[7])
    assert items(kind(x)).targets(order) == y[order].tolist()
    assert items(kind(x)).n_bytes == whole.nbytes


def test_draws_follow_the_seed_and_the_index_and_leave_the_generators_alone() -> None:
    noisy = items(Noisy(np.zeros((N, 3))))
    state = torch.get_rng_state()
    first, other = noisy.features([1, 2, 3], seed=5), noisy.features([1, 2, 3], seed=6)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(first, noisy.features([1, 2, 3], seed=5))
    assert len(np.unique([first, other])) == 2 * 3 * 3


def test_pillow_pictures_become_bytes_of_channels_height_and_width() -> None:
    x = x_of("bytes")
    assert np.array_equal(items(Pillow(x)).pairs()[0], x)


class Other(Rows):
    """Item 7 is of no use."""

    def __init__(self, what: object) -> None:
        super().__init__(x_of("table"))
        self.what = what

    def __getitem__(self, index: int) -> Any:
        if index != 7:
            return super().__getitem__(index)
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (ValueError("no such file"), r"own.py:load: item 7: ValueError: no such file"),
        (
            (np.zeros(4), 1),
            r"must have the same shape and type, but item 7 is 4 of float64, and item 0 is 3",
        ),
        ((np.zeros(3, np.uint8), 1), r"item 7 is 3 of uint8, and item 0 is 3 of float64"),
        (3, r"item 7 must be a pair \(x, y\), but is int"),
    ],
)
def test_what_is_wrong_with_an_item_is_told_with_its_index(what: object, message: str) -> None:
    for read in (lambda i: i.pairs(), lambda i: i.features([1, 7])):
        with pytest.raises(UserCodeError, match=message):
            read(items(Other(what)))


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield 1, 2


class Unmeasured(Dataset[Any]):
    def __getitem__(self, index: int) -> Any:
        return 1, 2


class Unseeded(Rows):
    def __getitem__(self, index: int) -> Any:
        return np.random.default_rng().random(3), 1


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Endless(), "no fold can be cut from an IterableDataset"),
        (Unmeasured(), "but Unmeasured has no __len__. Add it"),
        (Rows(np.zeros((0, 3))), "returned a torch Dataset without items"),
        (Unseeded(x_of("table")), "item 0 differs when it is read again"),
    ],
)
def test_data_sets_that_are_none(dataset: Dataset[Any], message: str) -> None:
    with pytest.raises(UserCodeError, match=message):
        items(dataset)


def test_more_items_than_any_data_set_has_are_refused_before_one_is_read() -> None:
    class Endless(Rows):
        def __len__(self) -> int:
            return 10**12

        def __getitem__(self, index: int) -> Any:
            raise AssertionError(index)

    with pytest.raises(
        UserCodeError, match=r"of 1,000,000,000,000 items, .* Return a torch Subset"
    ):
        items(Endless(x_of("table")))
