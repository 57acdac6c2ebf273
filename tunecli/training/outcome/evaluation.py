"""The results of training as plain numbers, for messages, database rows and checkpoints.

This module does not import torch, so that the driver and the report can use it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunecli.study_file.settings.settings import Task

Outcome = Literal["complete", "pruned", "diverged", "infeasible", "failed"]

TargetScores = dict[str, dict[str, float]]
"""Scores of each of several targets, by its name and by metric."""


def ended_untrained(outcome: Outcome | None, fold_scores: Sequence[float]) -> bool:
    """Return whether a trial broke a limit that its model alone decides, before its training.

    After a training, an infeasible trial has the scores of its folds.
    """
    return outcome == "infeasible" and not fold_scores


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one fold.

    Attributes:
        step: the evaluation's index from 0; Optuna's step.
        epoch: epochs trained so far, fractional between two of them.
        train_loss: mean loss over the rows trained on since the last evaluation, without
            regularization (L1).
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
    """The end of a trial, from the worker's side.

    Attributes:
        outcome: one of the five outcomes.
        reason: why the trial ended so; for a complete trial, the compression steps that were
            skipped, or empty.
        value: mean score over folds at the best evaluation, see `evaluation_choice.py` (at the
            last one for a pruned trial); None unless complete or pruned.
        best_step: index of that evaluation; None without a value.
        fold_scores: score of each fold that took part, at that evaluation.
        metrics: mean over folds of the other metrics at that evaluation.
        n_weights: number of the model's parameters.
        seconds: time spent in training and evaluation, without waiting.
        peak_memory: largest number of bytes held at once, by the process or on the CUDA device.
        traceback: traceback of an error, for the log.
        predictions: per fold, the validation rows' indices and outputs at the best evaluation, as
            bytes of an npz archive with arrays `rows_<fold>` (n,) int64 and `outputs_<fold>`
            (n, k), float32 probabilities or float64 values; None unless complete.
        of_targets: scores of each of several targets by the same outputs, means over folds; see
            `decision.measure_targets`. Empty unless complete, and with a single target.
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
    of_targets: TargetScores = field(default_factory=dict)


BASELINES: Mapping[Task, tuple[str, ...]] = {
    "classification": ("commonest class", "logistic regression", "gradient-boosted trees"),
    "regression": ("mean", "ridge regression", "gradient-boosted trees"),
    "multilabel": ("label shares", "logistic regression", "gradient-boosted trees"),
    "language_modeling": ("token frequencies", "bigram model"),
}
"""Names of the untuned baselines by task: a guess first, then models that learn."""

GUESSES = tuple(names[0] for names in BASELINES.values())


@dataclass(frozen=True)
class Baseline:
    """The scores of an untuned baseline on the same folds.

    Attributes:
        name: one of `BASELINES`.
        fold_scores: scores by the objective's metric, one per fold, in the order of the folds;
            empty if there are none.
        seconds: time to fit and score it on all folds.
        metrics: the study's other metrics, means over folds; metrics that are not finite are
            omitted.
        fold_metrics: the same, one value per fold; empty in studies of versions without it.
        note: number of rows it was fitted on, if not all; or why there are no scores.
        of_targets: scores of each of several targets, means over folds; metrics that are not
            finite are omitted. Empty in studies of versions without it.
    """

    name: str
    fold_scores: tuple[float, ...] = ()
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    note: str = ""
    fold_metrics: dict[str, tuple[float, ...]] = field(default_factory=dict)
    of_targets: TargetScores = field(default_factory=dict)


MOST_BASELINE_SECONDS = 30.0
"""Largest estimated time of a baseline on all folds, however long the search."""


@dataclass(frozen=True)
class BaselineLimit:
    """How long a baseline may take.

    Attributes:
        seconds: largest estimated time on all folds.
        search: estimated seconds of the whole search, which decided that; infinite if unknown.
    """

    seconds: float = MOST_BASELINE_SECONDS
    search: float = math.inf


LARGEST_LIMIT = BaselineLimit()
"""The limit in the longest searches."""


@dataclass(frozen=True)
class BaselinePlan:
    """How long the untuned baselines of a study may take, and are expected to take.

    Attributes:
        limit: how long each of them may take.
        seconds: estimated time of each baseline, by its name; 0 for one that is skipped.
    """

    limit: BaselineLimit = LARGEST_LIMIT
    seconds: Mapping[str, float] = field(default_factory=dict)
