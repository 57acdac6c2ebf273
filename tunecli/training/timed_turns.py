"""Time the turns of a training that evaluates each step twice: with the step, and without."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from tunecli.training.stack.fold_stack import FoldStack

TIMED_STEPS = 32
"""Largest number of optimizer steps that are timed."""

TIMED_SECONDS = 0.03
"""No timed turn starts after this time: large models make one step, small ones several."""


def seconds_of_turns(turn: Callable[[], object]) -> tuple[float, float]:
    """Return the median seconds of an optimizer step and of an evaluation.

    Args:
        turn: evaluates a step again, and makes the next step, by turns; it has made one before.
    """
    with_step: list[float] = []
    without: list[float] = []
    while len(without) < TIMED_STEPS and sum(with_step) + sum(without) < TIMED_SECONDS:
        for times in (without, with_step):
            begin = time.perf_counter()
            turn()
            times.append(time.perf_counter() - begin)
    evaluation = statistics.median(without)
    return max(0.0, statistics.median(with_step) - evaluation), evaluation


def warm_turn(stack: FoldStack) -> Callable[[], object]:
    """Return the turn of a new stack, after its first step, which is slower."""

    def turn() -> object:
        return list(stack.evaluations())

    turn()
    return turn
