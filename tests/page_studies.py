"""Studies whose pages are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from study_makers import Params, adjustment_of, complete, made, mlp

from tunecli.database.records import StudyRecord, read_study
from tunecli.database.urls import sqlite_url
from tunecli.training.outcome.evaluation import TrialResult

NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&lt;<!--"


Made = Sequence[tuple[Params, TrialResult | None]]


def usual() -> Made:
    """Complete, pruned, diverged, failed and running trials, with a branch and a choice."""
    complete_ones = [
        (mlp(10 ** -(1 + n / 8), 8 + 9 * n, ("SGD", "AdamW", None)[n % 3]), complete(x, x + 0.02))
        for n, x in enumerate(0.9 - 0.01 * (n - 9) ** 2 / 9 for n in range(24))
    ]
    return [
        *complete_ones,
        (mlp(0.3), complete(0.5, 0.4, outcome="pruned")),
        (mlp(0.9), TrialResult("diverged", "loss is not finite")),
        (mlp(0.8), TrialResult("failed", "out of memory")),
        (mlp(0.1), None),
    ]


def nasty(folder: Path) -> StudyRecord:
    choice: BaseDistribution = CategoricalDistribution([NASTY, "b"])
    unit = FloatDistribution(0.0, 1.0)
    trials: Made = [
        (
            {NASTY: ((NASTY, "b")[n % 2], choice), f"x.{NASTY}": (n / 20, unit)},
            complete(n / 20, n / 19, metrics={NASTY: 0.5}),
        )
        for n in range(20)
    ]
    failed = TrialResult("failed", NASTY, traceback=NASTY)
    attributes = {
        "file": NASTY,
        "study_file": NASTY,
        "resolved": NASTY,
        "overrides": [NASTY],
        "objective": {"metric": NASTY, "direction": "maximize"},
        "environment": {NASTY: NASTY},
        "adjustment": asdict(adjustment_of(19, NASTY)),
        "edits": [{"first_trial": 3, "changes": [NASTY], "study_file": NASTY}],
    }
    url = made(folder, [*trials, ({}, failed)], name=NASTY, attributes=attributes)
    return read_study(url, NASTY)


def two_objectives(folder: Path) -> optuna.Study:
    """A study of Optuna's own: the second objective costs what the first one gains."""
    study = optuna.create_study(
        storage=sqlite_url(folder / "study.db"),
        study_name="two",
        directions=["maximize", "minimize"],
    )
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    for number in range(12):
        x = number / 12
        values = [x if number % 3 else x / 2, x**2]
        study.add_trial(optuna.create_trial(values=values, params={"x": x}, distributions=space))
    return study
