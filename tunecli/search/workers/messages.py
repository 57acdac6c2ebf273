"""The messages between the driver and a worker: plain values, without torch or Optuna."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Any, Literal

from tunecli.data.rows.summary import DataSummary
from tunecli.search.events.events import CodeLoaded, Notice, Printed
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.evaluation import (
    LARGEST_LIMIT,
    Baseline,
    BaselineLimit,
    BaselinePlan,
    Evaluation,
    TrialResult,
)
from tunecli.training.outcome.failure_reasons import LAST_LINES
from tunecli.training.outcome.objectives import dominates

Answer = Literal["go on", "prune", "suspend"]
"""The driver's answer to a worker after an evaluation."""


@dataclass(frozen=True)
class TrialJob:
    """One trial to train.

    Attributes:
        number: the trial's number; training must not depend on it.
        attempt: counted from 1; grows when a worker dies during the trial.
        asks: whether the worker waits for an answer after each evaluation (because a pruner
            judges, or folds may join) instead of continuing at once.
        checkpoint: folder of the checkpoint to resume from and to save to; empty for none.
        models: folder for the best models of its folds; empty to keep none.
        study: name of the study, for the user's own training.
        to_beat: the value that makes the models worth keeping; None for any.
    """

    number: int
    attempt: int
    config: TrialConfig
    asks: bool
    checkpoint: str = ""
    models: str = ""
    to_beat: float | None = None
    study: str = ""

    @property
    def max_time(self) -> float | None:
        """Largest duration of the trial in seconds; None for no limit."""
        return self.config.training.max_time

    def is_worth_keeping(self, result: TrialResult) -> bool:
        """Return whether the models of this trial may be among the best."""
        if not self.models or result.outcome != "complete":
            return False
        if result.value is None or self.to_beat is None:
            return True
        direction = self.config.objective.direction
        return not dominates((self.to_beat,), (result.value,), (direction,))


@dataclass(frozen=True)
class BaselineJob:
    """One untuned model to fit and score on a study's folds.

    Attributes:
        number: a number below 0, which no trial has.
        name: one of `BASELINES`.
        config: the configuration of any trial; only what all trials share is read.
        max_time: largest duration in seconds.
        limit: largest estimated duration; decides on how many rows it is fitted.
    """

    number: int
    name: str
    config: TrialConfig
    max_time: float = 120.0
    limit: BaselineLimit = LARGEST_LIMIT


Job = TrialJob | BaselineJob


@dataclass(frozen=True)
class FirstTask:
    """The first worker's task before any trial: describe the study's data.

    Attributes:
        is_new: whether the study has no trials yet; then the worker also builds configurations.
        arguments: arguments of the function that gives the data, as in the first call, even if
            their ranges begin elsewhere now.
        n_trials: number of trials of the search; 0 if no baselines are to be planned.
        timeout: seconds after which the search starts no trial; None for no limit.
    """

    study: StudyFile
    is_new: bool
    arguments: dict[str, Any]
    n_trials: int = 0
    timeout: float | None = None


@dataclass(frozen=True)
class Evaluated:
    """The folds of a trial that take part were evaluated once more.

    Attributes:
        is_last: whether the trial has ended; the worker then waits for no answer.
        n_waiting: number of folds that have not joined yet.
        ends_stage: whether more folds join next.
    """

    number: int
    evaluations: tuple[Evaluation, ...]
    is_last: bool = False
    n_waiting: int = 0
    ends_stage: bool = False

    @property
    def step(self) -> int:
        """Index of the evaluation in the current stage."""
        return self.evaluations[0].step


@dataclass(frozen=True)
class Concluded:
    """A trial is complete, and its models are saved next; `Finished` follows with this result."""

    number: int
    result: TrialResult


@dataclass(frozen=True)
class Finished:
    """A trial ended in a worker.

    Attributes:
        is_last: whether the worker can train nothing more and must be replaced.
    """

    number: int
    worker: int
    result: TrialResult
    is_last: bool = False


@dataclass(frozen=True)
class BaselineScored:
    """An untuned model was scored, or cannot be; its job has ended."""

    number: int
    baseline: Baseline


@dataclass(frozen=True)
class Resumed:
    """A trial resumes from a checkpoint, before which it had trained for `seconds`."""

    number: int
    seconds: float


@dataclass(frozen=True)
class Suspended:
    """A trial was stopped by the driver; `saved` if a later search resumes from here."""

    number: int
    saved: bool


@dataclass(frozen=True)
class HandedOut:
    """A worker of a cluster begins a job.

    Attributes:
        node: name of the worker's node.
    """

    number: int
    node: str


@dataclass(frozen=True)
class WorkerDied:
    """A worker process has ended; its job, if any, has no result.

    Attributes:
        number: the job's number; None if there was no job.
        exit_code: minus the signal that ended it; None if it could not be started.
        last_words: the reason that the worker gave, if it could.
        out_of_memory: whether it was killed because memory ran out.
        seconds: how long its job had run.
        peak_memory: largest main memory in bytes that was observed during its job.
        log: the file with what its job printed; empty for none.
        is_lost: whether its node or its cluster ended it, so that its job is not to blame.
        is_evicted: whether a cluster ended it because memory ran out on its node, perhaps for
            others; another attempt may succeed.
    """

    number: int | None
    worker: int
    exit_code: int | None
    last_words: str = ""
    out_of_memory: bool = False
    seconds: float = 0.0
    peak_memory: int = 0
    log: str = ""
    is_lost: bool = False
    is_evicted: bool = False

    @property
    def cause(self) -> str:
        """The cause of its end, in words, and where its last lines are."""
        cause = self.last_words or _how_it_ended(self.exit_code)
        if self.out_of_memory and not self.is_evicted:
            cause = "killed by the kernel because memory ran out"
        return f"{cause}{LAST_LINES}{self.log}" if self.log else cause


@dataclass(frozen=True)
class DataReady:
    """The first message of the first worker: what the data is, or why it cannot be used.

    Attributes:
        environment: versions and hardware that decide the rounding, by name.
        error: a TunecliError of the worker, to be raised by the driver.
        code: the user code that was imported for it, as in `CodeLoaded`.
        baselines: how long the untuned baselines may take.
    """

    worker: int
    summary: DataSummary | None
    environment: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    code: dict[str, str] = field(default_factory=dict)
    baselines: BaselinePlan = field(default_factory=BaselinePlan)


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None:
        return "it could not be started"
    if exit_code >= 0:
        return f"exited with code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal, which has no name
        return f"killed by signal {-exit_code}"


Ended = Finished | BaselineScored | Suspended
"""How a job ends if its worker lives on."""

Event = (
    Evaluated
    | Resumed
    | Concluded
    | HandedOut
    | Ended
    | Notice
    | Printed
    | CodeLoaded
    | WorkerDied
    | DataReady
)
