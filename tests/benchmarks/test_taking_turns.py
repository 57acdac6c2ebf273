from __future__ import annotations

import time

import pytest
from taking_turns import Compared, Cost, compare, taking_turns, timed


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_cpu_and_clock_are_told_apart() -> None:
    cost = timed(lambda: time.sleep(0.05))()
    assert cost.wall >= 0.05 > cost.cpu
    assert timed(lambda: busy(0.05))().cpu >= 0.05


def test_a_ratio_is_the_median_of_the_pairs() -> None:
    pairs = [(Cost(1, 2), Cost(2, 2)), (Cost(9, 1), Cost(3, 4)), (Cost(1, 1), Cost(4, 2))]
    compared = Compared(pairs)
    assert compared.ratio("cpu") == pytest.approx(0.5)
    assert compared.ratio("wall") == pytest.approx(0.5)
    assert compared.medians("cpu") == (1, 3)


def test_the_ways_take_turns_in_beginning() -> None:
    order: list[str] = []

    def way(name: str) -> Cost:
        order.append(name)
        return Cost(1.0, float(name == "b"))

    compared = compare(taking_turns(lambda: way("a"), lambda: way("b")), 3)
    assert "".join(order) == "ab" + "ba" + "ab"
    assert compared.pairs == [(Cost(1.0, 0.0), Cost(1.0, 1.0))] * 3
