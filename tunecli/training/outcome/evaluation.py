"""What training tells: plain numbers that fit into a message, a database row and a checkpoint.

Imports no torch, so that the driver and the report can use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tunecli.study_file.settings.settings import Task

Outcome = Literal["complete", "pruned", "diverged", "infeasible", "failed"]


@dataclass(frozen=True)
class Evaluation:
    """One fold, evaluated once.

    Attributes:
        step: the evaluation's index from 0; Optuna's step.
        epoch: epochs trained so far, fractional between two of them.
        train_loss: mean loss over the rows trained on since the last evaluation, regularization
            (L1) left out.
        score: the objective's metric on the fold's validation part.
        metrics: the other metrics of the study, by name, on the validation part.
        lr: learning rate of the first parameter group at the evaluation.
    """

    step: int
    epoch: float
    train_loss: float
    score: float
    metrics: dict[str, float]
    lr: float


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended, from the worker's side.

    Attributes:
        outcome: what happened, in one of the design's five words.
        reason: a sentence; of a complete trial the steps of its compression that were left out,
            or empty.
        value: mean score over folds at the best evaluation of the mean curve (the last one for a
            pruned trial); None unless complete or pruned.
        best_step: index of that evaluation; None without a value.
        fold_scores: score of each fold at that evaluation.
        metrics: mean over folds of the other metrics at that evaluation.
        n_weights: parameters of the model.
        seconds: time in training and evaluation, waiting left out.
        peak_memory: most bytes held at once in the trial, by the process or on the CUDA device.
        traceback: of an error, for the log.
        predictions: per fold, the validation rows' indices and outputs at the best evaluation, as
            bytes of an npz archive with arrays `rows_<fold>` (n,) int64 and `outputs_<fold>`
            (n, k), float32 probabilities or float64 values; None unless complete.
    """

    outcome: Outcome
    reason: str = ""
    value: float | None = None
    best_step: int | None = None
    fold_scores: tuple[float, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    n_weights: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    traceback: str = ""
    predictions: bytes | None = None


BASELINES: Mapping[Task, tuple[str, ...]] = {
    "classification": ("commonest class", "logistic regression", "gradient-boosted trees"),
    "regression": ("mean", "ridge regression", "gradient-boosted trees"),
}
"""What nobody tunes, by the task: a guess first, then what learns."""

GUESSES = tuple(names[0] for names in BASELINES.values())


@dataclass(frozen=True)
class Baseline:
    """What something that nobody tuned reaches on the same folds.

    Attributes:
        name: one of `BASELINES`.
        fold_scores: of the objective's metric, one a fold, in the order of the folds; empty where
            there are none.
        seconds: to fit and score it on all folds.
        metrics: the study's other metrics, means over folds, without those that are not finite.
        note: on how few rows it was fitted, if not on all of them; or why there are no scores.
    """

    name: str
    fold_scores: tuple[float, ...] = ()
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    note: str = ""
