"""What the driver and a worker say to each other. Plain values; no torch, no Optuna."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Any, Literal

from tunecli.data.rows.summary import DataSummary
from tunecli.search.events.events import CodeLoaded
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.evaluation import Baseline, Evaluation, TrialResult
from tunecli.training.outcome.objectives import dominates

Answer = Literal["go on", "prune", "suspend"]


@dataclass(frozen=True)
class TrialJob:
    """One trial to train.

    Attributes:
        number: the trial's; training must not depend on it.
        attempt: from 1; grows when a worker dies under the trial.
        asks: whether the worker waits for `reply` after each evaluation (a pruner judges), or goes
            on at once.
        checkpoint: folder of the trial's checkpoint, to go on from and to save to; empty for none.
        models: folder for the best models of its folds; empty to keep none.
        to_beat: the value that is worth keeping them; None for any.
    """

    number: int
    attempt: int
    config: TrialConfig
    asks: bool
    checkpoint: str = ""
    models: str = ""
    to_beat: float | None = None

    @property
    def max_time(self) -> float | None:
        """Seconds that it may take; None for any."""
        return self.config.training.max_time

    def is_worth_keeping(self, result: TrialResult) -> bool:
        """Whether the models of this trial may be among the best."""
        if not self.models or result.outcome != "complete" or self.config.train is not None:
            return False
        if result.value is None or self.to_beat is None:
            return True
        direction = self.config.objective.direction
        return not dominates((self.to_beat,), (result.value,), (direction,))


@dataclass(frozen=True)
class BaselineJob:
    """One untuned model to fit and score on a study's folds.

    Attributes:
        number: below 0, so that no trial has it.
        name: one of `BASELINES`.
        config: of any trial; what all of them share is read.
    """

    number: int
    name: str
    config: TrialConfig
    max_time: float = 120.0


Job = TrialJob | BaselineJob


@dataclass(frozen=True)
class FirstTask:
    """What the first worker does before any trial: describe the study's data.

    Attributes:
        is_new: the study has no trials yet; whether its configurations can be built is tried, too.
        arguments: of the function that gives the data, as it was described at first, wherever a
            range among them begins by now.
    """

    study: StudyFile
    is_new: bool
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """Every fold of a trial was evaluated once more.

    Attributes:
        is_last: the trial has come to its end; nobody waits for a reply.
    """

    number: int
    worker: int
    evaluations: tuple[Evaluation, ...]
    is_last: bool = False


@dataclass(frozen=True)
class Finished:
    """A trial ended in the worker's hands.

    Attributes:
        is_last: the worker can train nothing more, and another must take its place.
    """

    number: int
    worker: int
    result: TrialResult
    is_last: bool = False


@dataclass(frozen=True)
class BaselineScored:
    """An untuned model was scored, or cannot be; nothing more comes of its job."""

    number: int
    worker: int
    baseline: Baseline


@dataclass(frozen=True)
class Resumed:
    """A trial goes on from a checkpoint, before which it had trained for `seconds`."""

    number: int
    worker: int
    seconds: float


@dataclass(frozen=True)
class Suspended:
    """A trial was stopped by the driver; `saved` if a later search goes on from here."""

    number: int
    worker: int
    saved: bool


@dataclass(frozen=True)
class Warned:
    """Something a user should read; the trial goes on."""

    number: int
    worker: int
    text: str


@dataclass(frozen=True)
class LastWords:
    """Why a worker cannot go on, and ends."""

    text: str


@dataclass(frozen=True)
class WorkerDied:
    """A worker process is gone; its job, if any, has no result.

    Attributes:
        number: of the job.
        exit_code: minus the signal that ended it; None if it could not even be started.
        last_words: what it said of that, if it could.
        out_of_memory: the kernel ended it, since there was no memory left.
        seconds: that its job had run.
        peak_memory: most bytes of main memory that it was seen with during its job.
    """

    number: int | None
    worker: int
    exit_code: int | None
    last_words: str = ""
    out_of_memory: bool = False
    seconds: float = 0.0
    peak_memory: int = 0

    @property
    def cause(self) -> str:
        """What ended it, in words."""
        if self.out_of_memory:
            return "ended by the kernel, since memory ran out"
        return self.last_words or _how_it_ended(self.exit_code)


@dataclass(frozen=True)
class DataReady:
    """The first thing the first worker says: what the data is, or why it cannot be used.

    Attributes:
        environment: versions and hardware that decide the rounding, by name.
        error: a TunecliError of the worker, to be raised by the driver.
        code: what was imported for it, as in `CodeLoaded`.
    """

    worker: int
    summary: DataSummary | None
    environment: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    code: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """The driver's word to a worker, after an evaluation: prune it, or save it for another day."""

    answer: Answer


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None:
        return "it could not be started"
    if exit_code >= 0:
        return f"exited with code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # of real time, which have no name
        return f"killed by signal {-exit_code}"


Event = (
    Evaluated
    | Finished
    | BaselineScored
    | Resumed
    | Suspended
    | Warned
    | CodeLoaded
    | WorkerDied
    | DataReady
)
