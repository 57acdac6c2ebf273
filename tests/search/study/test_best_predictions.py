"""Predictions of the best trials: which stay, whatever the order in which the trials end."""

from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from tunecli.search.study import best_predictions
from tunecli.search.study.best_predictions import BestPredictions


def ended(number: int, value: float | None) -> Any:
    return SimpleNamespace(number=number, values=() if value is None else (value,))


VALUES = (3.0, None, 1.0, 2.0, 2.0, 5.0)


def kept(n: int, order: tuple[int, ...], sizes: dict[int, int]) -> set[int]:
    """Return whose predictions are left after these trials have ended."""
    stored: set[int] = set()
    best = BestPredictions(n, "minimize", [], {})
    for number in order:
        stored |= {number}
        stored -= best.take(ended(number, VALUES[number]), sizes[number])
    return stored


@pytest.mark.parametrize(
    ("n", "expected"), [(0, set()), (1, {2}), (2, {2, 3}), (9, {0, 2, 3, 4, 5})]
)
def test_those_of_the_best_stay(n: int, expected: set[int]) -> None:
    sizes = dict.fromkeys(range(6), 1)
    assert all(kept(n, order, sizes) == expected for order in permutations(range(6)))


def test_the_best_that_fit_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best_predictions, "MOST_BYTES", 10)
    sizes = {0: 1, 1: 0, 2: 4, 3: 5, 4: 2, 5: 1}  # 2, 3 fit; 4 does not, so none behind it does
    assert all(kept(9, order, sizes) == {2, 3} for order in permutations(range(6)))
    assert kept(9, (0, 2, 3), {0: 1, 2: 99, 3: 5}) == {2}  # the best one whatever its size


def test_a_later_search_goes_on() -> None:
    earlier = [ended(0, 0.1), ended(1, 0.9), ended(2, 0.3)]
    best = BestPredictions(2, "maximize", earlier, {1: 8, 2: 8})
    assert best.take(ended(3, 0.2), 8) == {3}
    assert best.take(ended(4, 0.5), 8) == {2}
    assert best.take(ended(5, None), 0) == {5}


@pytest.mark.parametrize("without", [(), (2,), (2, 3), (0, 4)])  # own training may give none
@pytest.mark.parametrize("n", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("n_first", range(7))
def test_a_later_search_keeps_what_one_search_keeps(
    without: tuple[int, ...], n: int, n_first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best_predictions, "MOST_BYTES", 35)
    sizes = {number: 0 if number in without else 7 + 3 * number for number in range(6)}
    for order in permutations(range(6)):
        stored = kept(n, order[:n_first], sizes)
        history = [ended(number, VALUES[number]) for number in order[:n_first]]
        best = BestPredictions(n, "minimize", history, sizes)
        for number in order[n_first:]:
            stored |= {number}
            stored -= best.take(ended(number, VALUES[number]), sizes[number])
        assert stored == kept(n, order, sizes)
