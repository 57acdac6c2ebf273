"""Study databases for tests, written as a search writes them, without training anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import RDBStorage

from tunecli.data.rows.summary import DataSummary
from tunecli.database.trials import Trial
from tunecli.database.urls import sqlite_url
from tunecli.database.write import StudyDatabase
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Direction,
    Objective,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.training.outcome.adjustment import (
    Adjustment,
    BeforeAfter,
    Calibration,
    OperatingPoint,
    Threshold,
)
from tunecli.training.outcome.evaluation import Evaluation, TrialResult

SUMMARY = DataSummary(
    source="digits",
    task="classification",
    n_rows=1797,
    n_search=1437,
    n_test=360,
    shape=(1, 8, 8),
    classes=tuple("0123456789"),
    class_counts=(144,) * 10,
    n_folds=2,
    validation="2 stratified folds",
    guess={"accuracy": 0.1012},
    fingerprint="0" * 64,
)

CONFIG = TrialConfig(
    seed=0,
    data=DataSettings(source="digits", test=0.2),
    validation=ValidationSettings(folds=2),
    model=Component(name="MLP"),
    loss=Component(name="CrossEntropyLoss"),
    optimizer=Component(name="AdamW"),
    objective=Objective(direction="maximize", metric=Component(name="accuracy")),
    training=TrainingSettings(epochs=20),
)

LR = FloatDistribution(1e-4, 1.0, log=True)
WIDTH = IntDistribution(8, 256, log=True)
OPTIMIZER = CategoricalDistribution(("SGD", "AdamW", None))

Params = Mapping[str, tuple[Any, BaseDistribution]]


def mlp(lr: float, width: int = 32, optimizer: str | None = "AdamW") -> Params:
    """Parameters of a usual trial."""
    return {
        "model.MLP.width": (width, WIDTH),
        "optimizer": (optimizer, OPTIMIZER),
        f"optimizer.{optimizer}.lr": (lr, LR),
    }


def made(
    folder: Path,
    trials: Sequence[tuple[Params, TrialResult | None]],
    name: str = "digits",
    direction: Direction = "maximize",
    attributes: Mapping[str, Any] | None = None,
) -> str:
    """A database with these trials, None for one that still runs; its URL.

    A trial with fold scores has a curve of three evaluations that ends with them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.db").write_bytes(_empty_database())
    url = sqlite_url(folder / "study.db")
    database = StudyDatabase.create(url, name, [direction])
    shown = {
        "format": 1,
        "file": "studies/digits.yaml",
        "objective": {"metric": "accuracy", "direction": direction},
        "summary": asdict(SUMMARY),
    }
    database.set_attributes(shown | dict(attributes or {}))
    for number, (params, result) in enumerate(trials):
        database.start_trial(
            Trial(
                number,
                params={key: value for key, (value, _) in params.items()},
                distributions={key: distribution for key, (_, distribution) in params.items()},
                config=CONFIG,
            )
        )
        if result is not None:
            for step in range(3 if result.fold_scores else 0):
                folds = [evaluation(step, score) for score in result.fold_scores]
                database.add_evaluations(number, step, folds)
            database.finish_trial(number, result, worker=number % 2)
    database.close()
    return url


def adjustment_of(trial: int, positive: str = "yes") -> Adjustment:
    """A temperature and a threshold of a model, with operating points."""
    points = tuple(
        OperatingPoint(threshold, precision, recall, share)
        for threshold, precision, recall, share in (
            (0.05, 0.1, 0.95, 0.6),
            (0.231, 0.3, 0.6, 0.125),
            (0.5, None, 0.0, 0.0),
        )
    )
    return Adjustment(
        trial,
        2400,
        5,
        Calibration(1.83, True, BeforeAfter(0.4121, 0.3702), BeforeAfter(0.0812, 0.0214)),
        Threshold(positive, 0.231, "tuned", "f1", BeforeAfter(0.41, 0.52)),
        points,
        points[:2],
    )


def complete(*folds: float, **changes: Any) -> TrialResult:
    """The result of a complete trial with these fold scores."""
    values = {
        "outcome": "complete",
        "value": sum(folds) / len(folds),
        "best_step": 2,
        "fold_scores": folds,
        "metrics": {"f1": 0.5},
        "n_weights": 1234,
        "seconds": 4.1,
        "peak_memory": 2**28,
    }
    return TrialResult(**(values | changes))


@cache
def _empty_database() -> bytes:
    """Optuna's tables without a study: making them takes most of the time of a test."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "study.db"
        RDBStorage(sqlite_url(path)).engine.dispose()
        return path.read_bytes()


def evaluation(step: int, score: float) -> Evaluation:
    share = ((step + 1) / 3) ** 0.5
    return Evaluation(step, step + 1.0, 2.0 - share, score * share, {"f1": share / 2}, 0.1)
