"""Train the network of a final model, and decide at which evaluation its weights are taken.

On all rows, that is the best evaluation of the search. Where this evaluation says little about
another training (the study stops early, the schedule follows the scores, or the best evaluation is
a dip of a noisy curve), a tenth of the rows is held out, and the evaluation that is best on it
counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tunecli.data.final_fit import FinalFit
from tunecli.errors import RefitError
from tunecli.report.analysis.best_evaluation import StandOut
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining
from tunecli.training.step.precision import choose_device

HeldOutFor = Literal["early stopping", "schedule", "noise", "fine-tuning"]
"""What needs a tenth of the rows: all but fine-tuning choose the evaluation on it."""

WHY: Mapping[HeldOutFor, str] = {
    "early stopping": "the study stops early",
    "schedule": "the learning rate follows the scores",
    "noise": "the best evaluation of the search is better than those around it by more than their "
    "noise",
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
    if stand_out is not None and stand_out.is_noise:
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


def train_to_best(config: TrialConfig, fit: FinalFit) -> FinalTraining:
    """Train as a trial does, and keep the weights that are best on the validation part.

    Raises:
        RefitError: the training diverges, or a score is not finite.
    """
    training = CrossValidation(config, [fit.fold], choose_device(config.training.device))
    for _ in training:
        pass
    if training.outcome != "complete" or training.best_step is None:
        raise RefitError(
            f"the training with seed {config.seed} {training.outcome}: {training.reason}. Choose "
            "another trial with --trial."
        )
    return FinalTraining(training.loops[0], training.best_step, len(training.curve))
