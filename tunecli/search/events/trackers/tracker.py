"""What every tracker can do, and what they all show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tunecli.search.events.events import TrialEvaluated, TrialFinished, TrialStarted
from tunecli.training.outcome.score_guard import mean


@dataclass(frozen=True)
class Group:
    """The runs of one study.

    Attributes:
        key: tells a study from an earlier one of the same name, and is the same in every call.
        objective: name of the metric.
    """

    study: str
    key: str
    objective: str


class Tracker(Protocol):
    """Shows each trial of a study as a run; may raise anything, and take any time.

    A trial that goes on, in this call or a later one, is started again and tells its curve again
    from step 0, with the same values: it belongs into the same run, each point once.
    """

    def start(self, trial: TrialStarted) -> None:
        """Begin the run of a trial, or go on with it."""

    def evaluate(self, told: TrialEvaluated) -> None:
        """Add a point to the curves of a trial."""

    def finish(self, trial: TrialFinished) -> None:
        """End the run of a trial."""

    def close(self) -> None:
        """Let go; trials that have not ended go on in a later search."""


def curve_points(told: TrialEvaluated, objective: str) -> dict[str, float]:
    """One point of each curve: the means over folds, and the score of each fold.

    What is not defined leaves a gap: not every tracker takes it.
    """
    folds = told.folds
    found = {objective: told.score}
    if len(folds) > 1:
        found |= {f"{objective}/fold_{fold}": one.score for fold, one in enumerate(folds)}
    if folds:
        found["train_loss"] = mean(one.train_loss for one in folds)
        found["lr"] = mean(one.lr for one in folds)
        for name in folds[0].metrics:
            found[name] = mean(one.metrics[name] for one in folds)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def figures(trial: TrialFinished) -> Mapping[str, float]:
    """The numbers that a trial ends with."""
    found = {"value": trial.value, "spread": trial.spread, "seconds": trial.seconds}
    return {name: number for name, number in found.items() if number is not None}
