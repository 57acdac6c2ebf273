"""The expected score against simulated studies: the truth of every trial and row is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.stats import binomtest

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.expected_score import ExpectedScore, RowCounts, expected_score

N_TRIALS = 30
ROW_SPREAD = 0.5  # standard deviation of one row's score, the same for all trials
OWN = 0.25  # share of a row's variance that each trial has for itself
TRAINING = 0.004  # standard deviation between networks that are trained anew

VALIDATIONS: dict[str, dict[str, Any]] = {
    "5 folds": {"folds": 5},
    "3 folds": {"folds": 3},
    "5 folds, 3 times": {"folds": 5, "repeats": 3},
    "holdout": {"holdout": 0.2},
    "3 holdouts": {"holdout": 0.2, "repeats": 3},
}
SIZES = (300, 1000, 4000)


@dataclass(frozen=True)
class Simulated:
    """A study, the score of its winner on the test rows, and the truth about both."""

    study: StudyRecord
    test: float
    test_error: float
    rows: RowCounts
    drop: float

    def expected(self) -> ExpectedScore:
        found = expected_score(self.study, self.test_error, self.rows)
        assert found is not None
        return found


def simulated(
    validation: str, n_rows: int, seed: int, shift: float = 0.0, own: float = OWN
) -> Simulated:
    """Scores are means over rows: what a row does to all trials, what it does to one, and training.

    Args:
        shift: how much worse every model is on the test rows.
    """
    draw = np.random.default_rng([seed, n_rows, len(validation)])
    settings = VALIDATIONS[validation]
    truths = 0.9 - 0.2 * (draw.random((N_TRIALS, 2)) ** 2).sum(axis=1)
    shared = draw.normal(0.0, ROW_SPREAD * math.sqrt(1 - own), n_rows)
    on_rows = draw.normal(0.0, ROW_SPREAD * math.sqrt(own), (N_TRIALS, n_rows)) + shared
    parts = [*_parts(settings, n_rows, draw)]
    trained = draw.normal(0.0, TRAINING, (N_TRIALS, len(parts)))
    scores = truths[:, None] + trained
    scores += np.stack([on_rows[:, part].mean(axis=1) for part in parts], axis=1)
    winner = int(scores.mean(axis=1).argmax())
    n_test = n_rows // 3
    of_test = truths[winner] - shift + draw.normal(0.0, TRAINING)
    on_test = of_test + draw.normal(0.0, ROW_SPREAD, n_test)
    weights = np.zeros(n_rows)
    for part in parts:
        weights[part] += 1 / len(part) / len(parts)
    return Simulated(
        study_of(scores, {"validation": settings}, f"simulated-{seed}"),
        float(on_test.mean()),
        float(on_test.std() / math.sqrt(n_test)),
        RowCounts(len(parts[0]), 1 / float((weights**2).sum()), n_test),
        float(scores[winner].mean() - truths[winner]),
    )


def _parts(
    settings: dict[str, Any], n_rows: int, draw: np.random.Generator
) -> Iterator[np.ndarray]:
    for _ in range(settings.get("repeats", 1)):
        rows = draw.permutation(n_rows)
        if "folds" in settings:
            yield from np.array_split(rows, settings["folds"])
        else:
            yield rows[: int(settings["holdout"] * n_rows)]


def study_of(
    scores: np.ndarray, config: dict[str, Any], name: str = "s", direction: Any = "maximize"
) -> StudyRecord:
    """One trial per row, one fold per column."""
    trials = tuple(
        TrialRecord(
            *(number, number, "complete", "complete"),
            value=float(row.mean()),
            fold_scores=tuple(row.tolist()),
            config=config,
        )
        for number, row in enumerate(scores)
    )
    return StudyRecord("sqlite://", 1, name, "accuracy", direction, trials)


@dataclass(frozen=True)
class Rates:
    within: int
    below: int
    n: int
    bias: float  # of the drop, in parts of the true one


@cache
def rates(validation: str, n_rows: int, n: int, shift: float = 0.0, own: float = OWN) -> Rates:
    within = below = 0
    drops, true = [], []
    for seed in range(n):
        one = simulated(validation, n_rows, seed, shift, own)
        found = one.expected()
        within += found.low <= one.test <= found.high
        below += one.test < found.low
        drops.append(found.drop)
        true.append(one.drop)
    return Rates(within, below, n, float(np.mean(drops) / np.mean(true) - 1))


def at_least(share: float, n_of: int, n: int) -> bool:
    """Whether a rate of `share` or more is not refuted at 1 %."""
    return bool(binomtest(n_of, n, share, alternative="less").pvalue > 0.01)
