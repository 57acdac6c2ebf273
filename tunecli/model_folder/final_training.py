"""Train the network of a final model, and decide at which evaluation its weights are taken.

On all rows, that is the best evaluation of the search, or the last one if the two are practically
equal and the learning rate falls until the end. Where the best evaluation says little about
another training (the study stops early, the schedule follows the scores, or the evaluation is a
dip of a noisy curve), a tenth of the rows is held out, and the evaluation that is best on it
counts, among those around the best one of the search: a tenth is too small to choose from all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from tunecli.data.final_fit import FinalFit
from tunecli.report.analysis.best_evaluation import N_AROUND, StandOut
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.fold import FoldTraining
from tunecli.training.outcome.evaluation_choice import choice_for
from tunecli.training.outcome.score_guard import finite_evaluation
from tunecli.training.step.precision import choose_device

HeldOutFor = Literal["early stopping", "schedule", "noise", "fine-tuning"]
"""What needs a tenth of the rows: all but fine-tuning choose the evaluation on it."""

AROUND = N_AROUND // 2
"""Candidate evaluations on each side of the best one of the search."""

WHY: Mapping[HeldOutFor, str] = {
    "early stopping": "the study uses early stopping",
    "schedule": "the learning rate depends on the scores",
    "noise": "the best evaluation of the search beats its neighbours by more than their noise "
    "and is not practically equal to them",
    "fine-tuning": "fine-tuning needs scores",
}


def held_out_for(config: TrialConfig, stand_out: StandOut | None) -> HeldOutFor | None:
    """Return why a tenth of the rows is held out of the final training; None if it is not.

    Args:
        stand_out: how far the trial's best evaluation stands out; None if unknown.
    """
    if config.training.early_stopping is not None:
        return "early stopping"
    if config.train is not None:  # the user's training decides all else
        return None
    if config.schedule is not None and config.schedule.name == "ReduceLROnPlateau":
        return "schedule"
    if stand_out is not None and stand_out.is_dip:
        return "noise"
    return "fine-tuning" if config.compression.finetune_epochs else None


@dataclass(frozen=True)
class FinalTraining:
    """A training that has ended.

    Attributes:
        fold: the training; its best model is the final one.
        step: index of the evaluation whose weights the model has.
        n_evaluations: evaluations up to the end of the training.
    """

    fold: FoldTraining
    step: int
    n_evaluations: int


def train_to(step: int, config: TrialConfig, fit: FinalFit, fewest: int) -> FinalTraining:
    """Train up to an evaluation; with a validation part, its scores are measured on the way.

    Args:
        step: index of the evaluation; the last one of the training if there are fewer.
        fewest: the fewest batches of any fold of the search, which space its evaluations.
    """
    fold = FoldTraining(config, fit.fold, choose_device(config.training.device), fewest)
    n_evaluations = min(step + 1, len(fold.timetable.evaluations))
    if fit.has_validation:
        for _ in range(n_evaluations):
            next(fold)
    else:
        fold.train_unmeasured(n_evaluations)
    return FinalTraining(fold, n_evaluations - 1, n_evaluations)


def train_around(step: int, config: TrialConfig, fit: FinalFit, fewest: int) -> FinalTraining:
    """Train past an evaluation, and keep the weights that are best on the validation part.

    Args:
        step: index of the evaluation; those at most `AROUND` before or after it can be kept.
        fewest: the fewest batches of any fold of the search, which space its evaluations.

    Raises:
        NoScoreError: a loss or a score is not finite.
    """
    fold = FoldTraining(config, fit.fold, choose_device(config.training.device), fewest)
    n_evaluations = min(step + 1 + AROUND, len(fold.timetable.evaluations))
    first = max(min(step, n_evaluations - 1) - AROUND, 0)
    choice = choice_for(config)
    for index, evaluation in enumerate(islice(fold, n_evaluations)):
        score = finite_evaluation(evaluation, None, config.objective.metric.name).score
        if index >= first:
            choice.add(score)
            fold.follow(choice)
    assert choice.step is not None
    return FinalTraining(fold, first + choice.step, n_evaluations)
