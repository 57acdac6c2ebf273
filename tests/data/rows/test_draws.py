from __future__ import annotations

import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunecli.data.rows.draws import generators_kept, seed_all, seed_of


def drawn() -> tuple[float, float, float]:
    return torch.rand(1).item(), np.random.random(), random.random()


@given(st.integers(0, 2**63 - 1))
def test_a_seed_decides_what_is_drawn_and_nothing_is_left_of_it(seed: int) -> None:
    with generators_kept():
        seed_all(seed)
        first = drawn()
    before = drawn()
    with generators_kept():
        seed_all(seed)
        assert drawn() == first
        seed_all(seed_of(seed))
        assert drawn() != first
    assert drawn() != before


def test_the_generators_go_on_where_they_were() -> None:
    with generators_kept():
        expected = drawn()
    with generators_kept():
        seed_all(1)
    assert drawn() == expected


def test_neighbours_share_no_seed() -> None:
    seeds = {seed_of(*pair) for pair in np.ndindex(30, 30)}
    assert len(seeds) == 900
    assert max(seeds) < 2**63
