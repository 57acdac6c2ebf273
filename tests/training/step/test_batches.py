from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunecli.data.rows import features as module
from tunecli.training.step.batches import Batches, batch_sizes


@given(n_rows=st.integers(1, 200), batch_size=st.integers(1, 250))
def test_batches_partition_the_rows_and_only_the_last_differs(
    n_rows: int, batch_size: int
) -> None:
    sizes = batch_sizes(n_rows, batch_size)
    assert sum(sizes) == n_rows
    assert set(sizes[:-1]) <= {batch_size}
    assert sizes[-1] <= batch_size + 1


@given(n_rows=st.integers(2, 200), batch_size=st.integers(2, 250))
def test_no_batch_has_one_row(n_rows: int, batch_size: int) -> None:
    assert min(batch_sizes(n_rows, batch_size)) > 1


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "sizes"),
    [
        (10, 4, (4, 4, 2)),
        (9, 4, (4, 5)),
        (8, 4, (4, 4)),
        (3, 1, (1, 1, 1)),
        (5, 9, (5,)),
        (5, "full", (5,)),
    ],
)
def test_sizes_by_hand(
    n_rows: int, batch_size: int | Literal["full"], sizes: tuple[int, ...]
) -> None:
    assert batch_sizes(n_rows, batch_size) == sizes


def _order(batches: Batches) -> list[int]:
    """The rows of a new epoch."""
    return list(chain.from_iterable(_epoch(batches)))


def _epoch(batches: Batches) -> Iterator[list[int]]:
    """The rows of each batch of a new epoch."""
    batches.begin_epoch()
    for x, y, *_ in batches.rest_of_epoch():
        assert torch.equal(x[:, 0].long(), y)
        yield y.tolist()


def _numbered(n_rows: int, batch_size: int | Literal["full"], shuffle: bool = True) -> Batches:
    rows = torch.arange(n_rows)
    return Batches(rows.unsqueeze(1).float(), rows, batch_size, shuffle)


def test_every_epoch_gives_each_row_once_in_a_new_order() -> None:
    batches = _numbered(23, 4)
    torch.manual_seed(0)
    first, second = _order(batches), _order(batches)
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second != list(range(23))


@pytest.mark.parametrize(("batch_size", "shuffle"), [(4, False), ("full", True)])
def test_order_is_kept_where_it_is_wished_or_without_meaning(
    batch_size: int | Literal["full"], shuffle: bool
) -> None:
    batches = _numbered(23, batch_size, shuffle)
    before = torch.get_rng_state()
    assert _order(batches) == list(range(23))
    assert torch.equal(torch.get_rng_state(), before)  # and draws nothing


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs = []
    for n_bytes in (1, 3 * 4 * 4, 2**20):  # one batch, three batches, all
        monkeypatch.setattr(module, "BLOCK_BYTES", n_bytes)
        torch.manual_seed(1)
        epochs.append(list(_epoch(_numbered(23, 4))))
    assert epochs[0] == epochs[1] == epochs[2]


@pytest.mark.parametrize("n_taken", [0, 1, 3, 6])
def test_a_walk_goes_on_where_it_was_left(n_taken: int) -> None:
    torch.manual_seed(2)
    left = _numbered(23, 4)
    left.begin_epoch()
    walk = left.rest_of_epoch()
    for _ in range(n_taken):
        next(walk)
    taken_up = _numbered(23, 4)
    taken_up.load_state_dict(left.state_dict())
    assert taken_up.epoch_is_over == left.epoch_is_over == (n_taken == 6)
    rest, same = [[b.y.tolist() for b in batches.rest_of_epoch()] for batches in (left, taken_up)]
    assert rest == same
    assert len(rest) == 6 - n_taken
