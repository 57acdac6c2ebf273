"""What the driver and a worker say to each other. Plain values; no torch, no Optuna."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunecli.data.summary import DataSummary
from tunecli.study_file.settings import TrialConfig
from tunecli.training.evaluation import Evaluation, TrialResult


@dataclass(frozen=True)
class TrialJob:
    """One trial to train.

    Attributes:
        number: the trial's; training must not depend on it.
        attempt: from 1; grows when a worker dies under the trial.
        asks: whether the worker waits for `reply` after each evaluation (a pruner judges), or goes
            on at once.
    """

    number: int
    attempt: int
    config: TrialConfig
    asks: bool


@dataclass(frozen=True)
class Evaluated:
    """Every fold of a trial was evaluated once more."""

    number: int
    worker: int
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True)
class Finished:
    """A trial ended in the worker's hands."""

    number: int
    worker: int
    result: TrialResult


@dataclass(frozen=True)
class WorkerDied:
    """A worker process is gone; its trial, if any, has no result."""

    number: int | None
    worker: int
    exit_code: int | None


@dataclass(frozen=True)
class Described:
    """The first thing the first worker says: what the data is, or why it cannot be used.

    Attributes:
        environment: versions and hardware that decide the rounding, by name.
        error: a TunecliError of the worker, to be raised by the driver.
    """

    worker: int
    summary: DataSummary | None
    environment: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None


@dataclass(frozen=True)
class Reply:
    """The driver's answer to a worker's newest `Evaluated`; False ends the trial as pruned."""

    go_on: bool


Event = Evaluated | Finished | WorkerDied | Described
