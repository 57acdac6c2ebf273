"""What a search tells while it runs: one stream for the screen and for `events.jsonl`.

Plain values; no torch, no Optuna, no rich.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tunecli.data.rows.summary import DataSummary
from tunecli.study_file.settings.settings import Direction
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Baseline, Evaluation, Outcome

Ending = Literal["done", "timeout", "exhausted", "interrupted", "failing"]


@dataclass(frozen=True)
class TrialFinished:
    """A trial has ended.

    Attributes:
        spread: standard deviation over folds; None with one fold.
        fold_scores: at the best evaluation, one for each split; empty without a value.
        n_valid_per_train: rows that validate for each that trains; None if that is not known.
        values: of all objectives; empty unless complete.
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


@dataclass(frozen=True)
class SearchStarted:
    """A search begins or goes on.

    Attributes:
        objective: name of the metric.
        further_objectives: name and direction of those beside it.
        n_done: trials that had ended before; `n_total` is the study's total of trials.
        adopted: numbers of the trials that were interrupted and are taken up again.
        changes: sentences on what was edited in the study file since the last call.
        earlier: the trials that had ended before, by number, so that counts, the best and its
            noise are those of the whole study.
        has_pruner: whether bad trials are stopped early.
        learned: sentences on what the sampler learned from other studies.
        gates: what each parameter with an `or:` takes while it is off, by the parameter's name.
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


@dataclass(frozen=True)
class DataDescribed:
    summary: DataSummary


@dataclass(frozen=True)
class BaselinesScored:
    """Attributes: `baselines`: all that are known; those without scores have a note."""

    baselines: tuple[Baseline, ...]


@dataclass(frozen=True)
class TrialStarted:
    """Attributes: `n_evaluations`: how many evaluations the trial has if nothing stops it."""

    number: int
    params: dict[str, Scalar]
    n_evaluations: int


@dataclass(frozen=True)
class TrialEvaluated:
    """Every fold of a trial was evaluated once more.

    Attributes:
        score: mean over folds.
        best: the trial's best mean so far.
        folds: what each fold told.
    """

    number: int
    step: int
    score: float
    best: float
    folds: tuple[Evaluation, ...] = ()


@dataclass(frozen=True)
class Notice:
    """A sentence the user should read; the search goes on."""

    text: str


@dataclass(frozen=True)
class CodeLoaded:
    """Code of the user's own was imported.

    Attributes:
        files: the content hash of each file, by absolute path.
    """

    worker: int
    files: dict[str, str]


@dataclass(frozen=True)
class SearchEnded:
    """How a search ended.

    Attributes:
        reason: for `failing`, why every trial has no value, or the commonest of the reasons.
        outcome: for `failing`, how each of them ended; empty where they ended in several ways.
    """

    ending: Ending
    n_done: int
    n_total: int
    reason: str = ""
    outcome: Outcome | Literal[""] = ""


SearchEvent = (
    SearchStarted
    | DataDescribed
    | BaselinesScored
    | TrialStarted
    | TrialEvaluated
    | TrialFinished
    | Notice
    | CodeLoaded
    | SearchEnded
)
