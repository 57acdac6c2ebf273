"""Greedy selection: what it picks, against its definition written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tunecli.model_folder.ensemble.greedy import Picks, greedy_picks


def by_definition(
    n: int, n_picks: int, goodness: Callable[[Picks], float], allows: Callable[[Picks], bool]
) -> Picks:
    """Every pick tried in turn, the best one kept; at the end the best bag of all so far."""
    bag: list[int] = []
    bags: list[Picks] = []
    for _ in range(n_picks):
        best: tuple[float, int] | None = None
        for one in range(n):
            longer = tuple(sorted([*bag, one]))
            if allows(longer) and (best is None or goodness(longer) > best[0]):
                best = (goodness(longer), one)
        if best is None:
            break
        bag.append(best[1])
        bags.append(tuple(sorted(bag)))
    chosen: Picks = ()
    for picks in bags:
        if not chosen or goodness(picks) > goodness(chosen):
            chosen = picks
    return chosen


def of_longer(goodness: Callable[[Picks], float]) -> Callable[[Picks, int], float]:
    return lambda picks, one: goodness(tuple(sorted([*picks, one])))


def error(rng: np.random.Generator, n: int) -> Callable[[Picks], float]:
    """The negative squared error of mean predictions of n models, each with noise of its own."""
    truth = rng.normal(size=60)
    models = truth + rng.normal(size=(n, 60)) * rng.uniform(0.5, 1.5, (n, 1))
    return lambda picks: -float(np.square(models[list(picks)].mean(0) - truth).mean())


@pytest.mark.parametrize("seed", range(20))
def test_picks_are_those_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_picks = int(rng.integers(1, 9)), int(rng.integers(1, 12))
    goodness, most = error(rng, n), int(rng.integers(1, 5))

    def allows(picks: Picks) -> bool:
        return len({*picks}) <= most

    found = greedy_picks(n, n_picks, of_longer(goodness), allows)
    assert found == by_definition(n, n_picks, goodness, allows)
    assert len({*found}) <= most
    assert len(found) <= n_picks
    assert goodness(found) >= max(goodness((one,)) for one in range(n))


def test_a_good_model_counts_several_times() -> None:
    truth, offsets = 0.0, np.array([1.0, -3.0])  # three of the first and one of the second cancel

    def goodness(picks: Picks) -> float:
        return -abs(float(offsets[list(picks)].mean()) - truth)

    assert greedy_picks(2, 8, of_longer(goodness)) == (0, 0, 0, 1)


def test_the_first_of_equals_is_picked_and_the_smallest_ensemble() -> None:
    assert greedy_picks(3, 8, lambda picks, one: 1.0) == (0,)
    assert greedy_picks(3, 8, lambda picks, one: 1.0, lambda picks: 0 not in picks) == (1,)


def test_nothing_is_picked_where_nothing_is_allowed() -> None:
    assert greedy_picks(3, 8, lambda picks, one: 1.0, lambda picks: False) == ()
