"""Rows of like length come together, in an order that the generator alone decides."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.data.rows.dataset import TokenForm
from tunecli.data.text.token_features import TokenFeatures
from tunecli.data.text.tokens import Tokens
from tunecli.training.step.batches import (
    CHUNK,
    Batches,
    batch_sizes,
    grouped_by_length,
    padding_share,
)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=300), st.integers(1, 7), st.integers(0, 9)
)
def test_each_row_stays_in_its_chunk_and_each_batch_has_like_rows(
    lengths: list[int], batch_size: int, seed: int
) -> None:
    sizes = batch_sizes(len(lengths), batch_size)
    torch.manual_seed(seed)
    order = torch.randperm(len(lengths))
    found = grouped_by_length(order, torch.tensor(lengths), sizes)
    start = 0
    for first in range(0, len(sizes), CHUNK):
        chunk = sizes[first : first + CHUNK]
        ours = found[start : start + sum(chunk)]
        assert sorted(ours.tolist()) == sorted(order[start : start + sum(chunk)].tolist())
        spans = [
            (min(own), max(own))
            for own in ([lengths[i] for i in part] for part in torch.split(ours, list(chunk)))
        ]
        ranked = sorted(spans)
        assert all(shorter[1] <= longer[0] for shorter, longer in pairwise(ranked))
        start += sum(chunk)


def test_the_order_of_batches_is_drawn_anew_in_each_epoch() -> None:
    lengths = torch.arange(1, 101)
    torch.manual_seed(0)
    one, other = (grouped_by_length(torch.arange(100), lengths, [10] * 10) for _ in range(2))
    assert one.tolist() != other.tolist()
    assert sorted(one[::10].tolist()) == sorted(other[::10].tolist())


def test_grouping_saves_padding() -> None:
    lengths = torch.arange(1, 1001)
    sizes = batch_sizes(1000, 20)
    by_chance = padding_share(lengths, [1000])
    assert by_chance > 0.4
    state = torch.get_rng_state()
    assert padding_share(lengths, sizes) < 0.02
    assert torch.equal(torch.get_rng_state(), state)
    assert padding_share(lengths, sizes, shuffle=False) < 0.02


def test_an_epoch_resumes_between_any_two_batches() -> None:
    rows = [[1] * (1 + i % 9) for i in range(50)]
    features = TokenFeatures(Tokens.of(rows), TokenForm(9, 0))

    def batches() -> Batches:
        return Batches(features, torch.arange(50), 8, shuffle=True)

    torch.manual_seed(1)
    whole = batches()
    whole.begin_epoch()
    expected = [batch.y.tolist() for batch in whole.rest_of_epoch()]
    torch.manual_seed(1)
    cut = batches()
    cut.begin_epoch()
    found = [next(cut.rest_of_epoch()).y.tolist() for _ in range(3)]
    resumed = batches()
    resumed.load_state_dict(cut.state_dict())
    assert found + [batch.y.tolist() for batch in resumed.rest_of_epoch()] == expected
    assert sorted(row for batch in expected for row in batch) == [*range(50)]
