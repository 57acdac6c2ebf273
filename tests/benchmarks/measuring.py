"""What measuring an evaluation costs, against scikit-learn's functions on the same predictions.

    OMP_NUM_THREADS=1 python tests/benchmarks/measuring.py

One digits fold: 288 rows, 10 classes, four metrics, measured a hundred times a trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from sklearn import metrics

from tunecli.study_file.settings.settings import Component
from tunecli.training.outcome.metrics import measure

FOUR = [Component(name=name) for name in ("accuracy", "f1", "recall", "log_loss")]


def milliseconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    """Measure in pairs and print."""
    random = np.random.default_rng(0)
    y = random.integers(0, 10, 288)
    p = random.dirichlet(np.ones(10), 288)

    def by_scikit_learn() -> None:
        guess = p.argmax(1)
        metrics.accuracy_score(y, guess)
        metrics.f1_score(y, guess, average="macro")
        metrics.recall_score(y, guess, average="macro")
        metrics.log_loss(y, p, labels=range(10))

    def ours() -> None:
        measure(FOUR, "classification", y, p, 10)

    by_scikit_learn(), ours()
    pairs = [(milliseconds(ours), milliseconds(by_scikit_learn)) for _ in range(200)]
    mine, theirs = (median(column) for column in zip(*pairs, strict=True))
    print(f"four metrics: tunecli {mine:.2f} ms, scikit-learn {theirs:.2f} ms")
    print(f"median ratio: {median(a / b for a, b in pairs):.3f}")


if __name__ == "__main__":
    main()
