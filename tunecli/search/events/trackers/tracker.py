"""The interface of trackers, and the numbers they log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tunecli.training.outcome.score_guard import mean

if TYPE_CHECKING:
    from tunecli.search.events.events import TrialEvaluated, TrialFinished, TrialStarted


@dataclass(frozen=True)
class Group:
    """The runs of one study.

    Attributes:
        key: distinguishes a study from earlier ones with its name; the same in every call.
        objective: name of the metric.
    """

    study: str
    key: str
    objective: str


class Tracker(Protocol):
    """Logs each trial of a study as a run; may raise anything, and take any time.

    A trial that resumes, in this call or a later one, is started again, and its evaluations come
    again from step 0 with the same values. It belongs to the same run, with each point once.
    """

    def start(self, trial: TrialStarted) -> None:
        """Begin the run of a trial, or resume it."""

    def evaluate(self, event: TrialEvaluated) -> None:
        """Add a point to the curves of a trial."""

    def finish(self, trial: TrialFinished) -> None:
        """End the run of a trial."""

    def close(self) -> None:
        """Close the tracker; a later search resumes trials that have not ended."""


def curve_points(event: TrialEvaluated, objective: str) -> dict[str, float]:
    """Return one point per curve: the means over folds, and the score of each fold.

    The folds are those that take part. When more folds join, the points continue at
    `TrialEvaluated.position`.

    Values that are not finite are left out, since not every tracker accepts them.
    """
    folds = event.folds
    points = {objective: event.score}
    if len(folds) > 1:
        points |= {f"{objective}/fold_{fold}": one.score for fold, one in enumerate(folds)}
    if folds:
        points["train_loss"] = mean(one.train_loss for one in folds)
        points["lr"] = mean(one.lr for one in folds)
        for name in folds[0].metrics:
            points[name] = mean(one.metrics[name] for one in folds)
    return {name: value for name, value in points.items() if math.isfinite(value)}


def figures(trial: TrialFinished) -> Mapping[str, float]:
    """Return the final numbers of a trial: its value, spread and seconds, as far as known."""
    numbers = {"value": trial.value, "spread": trial.spread, "seconds": trial.seconds}
    return {name: number for name, number in numbers.items() if number is not None}
