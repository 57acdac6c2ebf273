"""Train folds that join a trial together: in lockstep, and as one stack where they can."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import torch
from torch import nn

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.fold import FoldTraining
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.outcome.evaluation_choice import EvaluationChoice
from tunecli.training.outcome.score_guard import finite_evaluation
from tunecli.training.stack.fold_stack import FoldStack
from tunecli.training.stack.stackable_trials import stack_of
from tunecli.training.state.memory import device_memory, must_wait_elsewhere
from tunecli.training.user_loop.user_training import UserFoldTraining
from tunecli.training.user_loop.user_trial import UserTrial

Round = tuple[Evaluation, ...]
"""One evaluation of each of some folds, all with the same step."""


class FoldGroup:
    """Trains some folds of a trial.

    Attributes:
        folds: their trainings.
        n_evaluations: planned number of evaluations; None if only the user's own training
            determines it.
        stack: trains them together; None if each trains alone.
        curve: their evaluations so far.
        notes: notes for the user, to be taken.
    """

    def __init__(
        self,
        config: TrialConfig,
        folds: Sequence[FoldData],
        device: torch.device,
        trial: UserTrial,
        fewest_batches: int | None,
        models: Sequence[nn.Module] | None = None,
        *,
        n_folds: int,
    ) -> None:
        """Prepare the folds.

        Args:
            trial: what the user's own training learns of its trial.
            fewest_batches: smallest number of batches of any fold of the trial.
            models: models to train further, in place, one per fold; None for new ones.
            n_folds: number of folds of the trial.
        """
        self._config = config
        self._n_folds = n_folds
        self._device_memory = device_memory(device)
        self.folds: Sequence[FoldTraining | UserFoldTraining]
        self.n_evaluations: int | None
        self.notes: list[str] = []
        self.stack: FoldStack | None = None
        self.curve: list[Round] = []
        if config.train is not None:
            self.folds = [UserFoldTraining(config, fold, device, trial) for fold in folds]
            self.n_evaluations = config.training.epochs
            return
        loops = [
            FoldTraining(config, fold, device, fewest_batches, model)
            for fold, model in zip(folds, models or repeat(None, len(folds)), strict=True)
        ]
        self.folds, self.n_evaluations = loops, len(loops[0].timetable.evaluations)
        if models is None:
            self.stack, self.notes = stack_of(config, loops)

    def at(self, step: int) -> Round:
        """Return the evaluation of this index; train up to it unless the folds were there.

        Raises:
            NoScoreError: an evaluation is not usable.
            StopIteration: the user's own training has ended.
        """
        while len(self.curve) <= step:
            self.curve.append(self._evaluate())
        return self.curve[step]

    def follow(self, choice: EvaluationChoice) -> None:
        """Keep the evaluations that may be chosen, and take the chosen one as the best.

        Args:
            choice: the choice among the evaluations of all folds of the trial, which may be behind
                those of this group.
        """
        for training in self.folds:
            training.follow(choice, n_ahead=len(self.curve) - len(choice))

    def _evaluate(self) -> Round:
        """Evaluate every fold once; raise at the first evaluation that is not usable."""
        name = self._config.objective.metric.name
        has_loss = self._config.train is None
        evaluations = []
        turns = map(next, self.folds) if self.stack is None else self.stack.evaluations()
        for training in self.folds:
            evaluation = next(turns)
            if self._device_memory is not None and isinstance(training, FoldTraining):
                if must_wait_elsewhere(training.n_bytes, self._n_folds, self._device_memory):
                    training.leave_device()
            fold = training.fold.number if self._n_folds > 1 else None
            evaluations.append(finite_evaluation(evaluation, fold, name, has_loss=has_loss))
        return tuple(evaluations)
