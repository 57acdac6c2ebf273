"""The events of a search: one stream for the live view, the trackers and `events.jsonl`.

Events are plain values, without torch, Optuna or rich.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tunecli.data.rows.summary import DataSummary
from tunecli.study_file.settings.settings import Direction
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Baseline, Evaluation, Outcome

Ending = Literal["done", "timeout", "exhausted", "infeasible", "interrupted", "failing"]


@dataclass(frozen=True)
class TrialFinished:
    """A trial has ended.

    Attributes:
        spread: standard deviation over folds; None with one fold.
        fold_scores: scores at the best evaluation, one per split that took part; empty without a
            value.
        n_valid_per_train: validation rows per training row; None if unknown.
        values: the values of all objectives; empty unless complete.
        is_spared: whether the trial does not count, because it broke a limit before its training.
    """

    number: int
    outcome: Outcome
    reason: str
    value: float | None
    spread: float | None
    seconds: float
    params: dict[str, Scalar]
    is_best: bool
    fold_scores: tuple[float, ...] = ()
    n_valid_per_train: float | None = None
    values: tuple[float, ...] = ()
    is_spared: bool = False


@dataclass(frozen=True)
class SearchStarted:
    """A search begins or resumes.

    Attributes:
        objective: name of the metric.
        further_objectives: name and direction of each additional objective.
        n_done: number of trials that count and had ended before; `n_total` is the study's total.
        adopted: numbers of the interrupted trials that are resumed.
        changes: sentences on the edits of the study file since the last call.
        earlier: the trials that had ended before, by number, so that counts, the best trial and
            its noise are those of the whole study.
        has_pruner: whether bad trials are stopped early.
        timeout: seconds after which this call starts no trial; None for no limit.
        learned: sentences on what the sampler learned from other studies.
        titles: what people read instead of the name of a metric, with what it averages.
        gates: the value that each parameter with an `or:` takes while it is off, by name.
        tolerance: difference in score that does not matter; None for the default.
        guess: the objective's score of guessing; None if the data was not described before.
        n_offered: workers that the machine or the command line offers; `parallel` may allow fewer.
    """

    study: str
    database: str
    objective: str
    direction: Direction
    n_done: int
    n_total: int
    n_jobs: int
    parallel: int
    adopted: tuple[int, ...] = ()
    changes: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()
    earlier: tuple[TrialFinished, ...] = ()
    has_pruner: bool = True
    gates: dict[str, Scalar] = field(default_factory=dict)
    further_objectives: tuple[tuple[str, Direction], ...] = ()
    titles: dict[str, str] = field(default_factory=dict)
    tolerance: float | None = None
    guess: float | None = None
    timeout: float | None = None
    n_offered: int = 0

    def titled(self, metric: str) -> str:
        """Return what people read instead of a metric's name."""
        return self.titles.get(metric, metric)


@dataclass(frozen=True)
class Waiting:
    """The search waits for something before its first trial has been evaluated.

    Attributes:
        what: what it waits for, in words such as `reading the data`.
        seconds: how long it has waited for it so far.
    """

    what: str
    seconds: float = 0.0


@dataclass(frozen=True)
class DataDescribed:
    """The data was read."""

    summary: DataSummary


@dataclass(frozen=True)
class BaselinesAwaited:
    """Baselines wait for a worker or are being fitted.

    Attributes:
        names: those that are not fitted yet; empty once all are.
        seconds: about how long fitting them takes.
    """

    names: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class BaselinesScored:
    """All baselines are known.

    Attributes:
        baselines: all of them; those without scores have a note.
    """

    baselines: tuple[Baseline, ...]


@dataclass(frozen=True)
class TrialStarted:
    """A trial begins or resumes.

    Attributes:
        n_evaluations: how many evaluations the trial has if nothing stops it early.
    """

    number: int
    params: dict[str, Scalar]
    n_evaluations: int


@dataclass(frozen=True)
class TrialPlaced:
    """A node of a cluster trains a trial from now on."""

    number: int
    node: str


@dataclass(frozen=True)
class TrialEvaluated:
    """The folds of a trial that take part were evaluated once more.

    Attributes:
        step: index of the evaluation; when more folds join, it begins again at 0.
        score: mean over these folds.
        best: the mean at the best evaluation of these folds so far.
        folds: the evaluation of each of these folds.
        n_waiting: number of folds that have not joined yet.
        n_before: number of evaluations before the last folds joined.
    """

    number: int
    step: int
    score: float
    best: float
    folds: tuple[Evaluation, ...] = ()
    n_waiting: int = 0
    n_before: int = 0

    @property
    def position(self) -> int:
        """Index of the evaluation among all of the trial."""
        return self.n_before + self.step


@dataclass(frozen=True)
class Notice:
    """A sentence that the user should read; the search continues."""

    text: str


@dataclass(frozen=True)
class Printed:
    """User code, or a library that it calls, printed lines.

    Attributes:
        number: number of the trial; None for what is printed outside of trials.
        log: the file that has these lines; empty if they are only shown.
    """

    number: int | None
    lines: tuple[str, ...]
    log: str = ""


@dataclass(frozen=True)
class CodeLoaded:
    """User code was imported.

    Attributes:
        files: content hash of each file, by absolute path.
    """

    worker: int
    files: dict[str, str]


@dataclass(frozen=True)
class SearchEnded:
    """A search ended.

    Attributes:
        n_done: number of trials that count and have ended.
        reason: for `failing`, the most common reason why trials have no value.
        outcome: for `failing`, the outcome that all trials share; empty if outcomes differ.
        n_spared: number of further trials, which broke a limit before their training. `ending` is
            `infeasible` if there were too many of them.
    """

    ending: Ending
    n_done: int
    n_total: int
    reason: str = ""
    outcome: Outcome | Literal[""] = ""
    n_spared: int = 0


TrialNews = TrialStarted | TrialEvaluated | TrialFinished
"""What a search tells about one trial."""

SearchEvent = (
    Waiting
    | SearchStarted
    | DataDescribed
    | BaselinesAwaited
    | BaselinesScored
    | TrialNews
    | TrialPlaced
    | Notice
    | Printed
    | CodeLoaded
    | SearchEnded
)
