"""How long workers wait for each other in exact order, by `search.parallel` per worker.

    python tests/benchmarks/waiting.py

Trial n may start once trials 0 to n - parallel have ended. This is computed, not run: workers take
ten trials each, of lengths that are drawn, and suggesting takes no time. Printed is the share of
the workers' time in which they train, until the last trial starts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from heapq import heapify, heapreplace
from random import Random

Draw = Callable[[Random], float]

LENGTHS: dict[str, Draw] = {
    "10 % shorter to 10 % longer": lambda draw: draw.uniform(0.9, 1.1),
    "50 % shorter to 50 % longer": lambda draw: draw.uniform(0.5, 1.5),
    "the same, half of them pruned at a third": lambda draw: (
        draw.uniform(0.5, 1.5) * draw.choice([1, 1 / 3])
    ),
    "log-normal, σ = 0.7": lambda draw: draw.lognormvariate(0, 0.7),
}


def utilization(n_workers: int, parallel: int, length: Draw, n_rounds: int = 10) -> float:
    """Return the share of the workers' time in which they train."""
    draw = Random(0)
    free = [0.0] * n_workers  # when each worker ends its trial
    heapify(free)
    trials: list[tuple[float, float]] = []
    ends: list[float] = []  # when all trials up to each one have ended
    for number in range(n_rounds * n_workers):
        before = ends[number - parallel] if number >= parallel else 0.0
        start = max(free[0], before)
        end = start + length(draw)
        heapreplace(free, end)
        trials.append((start, end))
        ends.append(max(end, ends[-1]) if ends else end)
    last = max(start for start, _ in trials)
    return sum(min(end, last) - start for start, end in trials) / (n_workers * last)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[16, 200, 1000])
    parser.add_argument("--parallel", type=float, nargs="+", default=[1, 2, 3, 4])
    options = parser.parse_args()
    head = [
        "lengths of trials",
        "workers",
        *(f"{factor:g} per worker" for factor in options.parallel),
    ]
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for name, length in LENGTHS.items():
        for n in options.workers:
            shares = [utilization(n, round(n * f), length) for f in options.parallel]
            print(f"| {name} | {n:,} | {' | '.join(f'{share:.0%}' for share in shares)} |")


if __name__ == "__main__":
    main()
