from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import regret_table
from hypothesis import given
from hypothesis import strategies as st
from regret_table import Found, Scale, rows

SCALES = {"a": Scale(best=1.0, median=0.5), "b": Scale(best=10.0, median=0.0)}


def found(way: str, task: str, seed: int, *scores: float | None) -> Found:
    by_budget = dict(zip(regret_table.BUDGETS, scores, strict=False))
    return Found(way, task, seed, by_budget, by_budget)


def test_regret_is_0_for_the_best_known_and_1_for_the_median_and_for_nothing() -> None:
    scale = Scale.of([0.1, 0.5, 0.7], [{10: 0.9, 20: None}])
    assert (scale.best, scale.median) == (0.9, 0.5)
    assert [scale.regret(score) for score in (0.9, 0.7, 0.5, None)] == pytest.approx(
        [0, 0.5, 1, 1]
    )


def test_a_row_is_the_mean_over_tasks_of_any_scale() -> None:
    [one, other] = rows(
        [
            *(found("x", "a", 0, 0.75, 1.0), found("x", "b", 0, 5.0, 10.0)),
            *(found("y", "a", 0, 0.5, 0.9), found("y", "b", 0, 5.0, None)),
        ],
        SCALES,
        SCALES,
        "x",
    )
    assert one.regret == pytest.approx({10: 0.5, 20: 0.0})
    assert other.regret == pytest.approx({10: 0.75, 20: 0.6})
    assert one.rank == pytest.approx({10: 1.25, 20: 1.0})
    assert other.rank == pytest.approx({10: 1.75, 20: 2.0})
    assert (other.better[10], other.worse[10], other.worse[20]) == (0, 1, 2)
    assert (one.better[10], one.worse[10]) == (0, 0)


def test_ways_are_ranked_where_all_have_searched() -> None:
    every = [found("x", "a", 0, 0.6), found("x", "b", 0, 9.0), found("y", "a", 0, 0.7)]
    one, other = rows(every, SCALES, SCALES, "x")
    assert (one.n_places, other.n_places) == (2, 1)
    assert (one.rank[10], other.rank[10]) == (2.0, 1.0)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_ranks_count_the_ways_that_are_better(scores: Sequence[Sequence[float]]) -> None:
    every = [
        found(way, "a", seed, of_way)
        for seed, of_seed in enumerate(scores)
        for way, of_way in zip("xyz", of_seed, strict=True)
    ]
    ranked = {row.way: row.rank[10] for row in rows(every, SCALES, SCALES, "x")}
    for at, way in enumerate("xyz"):
        expected = [
            1 + sum(one > s[at] for one in s) + (sum(one == s[at] for one in s) - 1) / 2
            for s in scores
        ]
        assert ranked[way] == pytest.approx(np.mean(expected))
    assert sum(ranked.values()) == pytest.approx(6)
    assert all(1 <= rank <= 3 for rank in itertools.chain(ranked.values()))
