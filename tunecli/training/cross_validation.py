"""Train one trial: all its folds in lockstep, one evaluation of each fold at a time.

So the mean score over all folds is known from the first evaluation on, for the pruner, which stops
asking for evaluations, and for early stopping here. The value of a trial is the mean at its best
evaluation, which `EvaluationChoice` chooses.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import repeat
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.early_stopping import no_longer_improves
from tunecli.training.fold import FoldTraining
from tunecli.training.outcome.evaluation import Evaluation, Outcome, TrialResult
from tunecli.training.outcome.evaluation_choice import choice_for
from tunecli.training.outcome.failure_reasons import ERROR
from tunecli.training.outcome.score_guard import NoScoreError, finite_evaluation, mean
from tunecli.training.stack.fold_stack import FoldStack
from tunecli.training.stack.stackable_trials import stack_of
from tunecli.training.state.checkpoints import CheckpointError
from tunecli.training.state.memory import PeakMemory, device_memory, must_wait_elsewhere
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.losses import Predictions
from tunecli.training.user_loop.user_training import UserFoldTraining
from tunecli.training.user_loop.user_trial import REHEARSED, UserTrial

Round = tuple[Evaluation, ...]
"""One evaluation of every fold, all with the same step."""


class CrossValidation:
    """Trains all folds of a trial; each item is one evaluation of every fold.

    Attributes:
        config: the configuration of the trial.
        folds: trainings in the order of the data's folds.
        n_evaluations: planned number of evaluations; early stopping may end the trial sooner. None
            if only the user's own training determines it.
        curve: the evaluations so far.
        outcome: None while training, then complete, diverged, or failed if a score is not a
            number.
        reason: why the trial diverged or failed; empty otherwise.
        seconds: time spent in training and evaluation, that of a loaded state included.
    """

    def __init__(
        self,
        config: TrialConfig,
        folds: Sequence[FoldData],
        device: torch.device,
        trial: UserTrial = REHEARSED,
        models: Sequence[nn.Module] | None = None,
    ) -> None:
        """Prepare all folds.

        Args:
            trial: what the user's own training learns of its trial.
            models: models to train further, in place, one per fold; None for new ones.
        """
        self._peak = PeakMemory(device)
        self._device_memory = device_memory(device)
        self.folds: Sequence[FoldTraining | UserFoldTraining]
        self._stack: FoldStack | None = None
        self._notes: list[str] = []
        self.n_evaluations: int | None
        if config.train is None:
            size = config.training.batch_size
            fewest = min(len(batch_sizes(len(fold.y_train), size)) for fold in folds)
            loops = [
                FoldTraining(config, fold, device, fewest, model)
                for fold, model in zip(folds, models or repeat(None, len(folds)), strict=True)
            ]
            self.folds, self.n_evaluations = loops, len(loops[0].timetable.evaluations)
            if models is None:
                self._stack, self._notes = stack_of(config, loops)
        else:
            self.folds = [UserFoldTraining(config, fold, device, trial) for fold in folds]
            self.n_evaluations = config.training.epochs
        self.curve: list[Round] = []
        self.outcome: Outcome | None = None
        self.reason = ""
        self.config = config
        self._choice = choice_for(config)
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Round]:
        return self

    def __next__(self) -> Round:
        if self.outcome is not None:
            raise StopIteration
        start = time.perf_counter()
        try:
            evaluations = self._evaluate_all()
            self._record(evaluations)
        except NoScoreError as error:
            self.outcome, self.reason = error.outcome, error.reason
            raise StopIteration from None
        except StopIteration:  # the user's own training has ended
            self.outcome = "complete" if self.curve else "failed"
            self.reason = "" if self.curve else f"{ERROR}: the training ended without a report"
            raise
        finally:
            self.seconds += time.perf_counter() - start
        return evaluations

    def _evaluate_all(self) -> Round:
        """Evaluate every fold once; raise at the first evaluation that is not usable."""
        name = self.config.objective.metric.name
        has_loss = self.config.train is None
        evaluations = []
        turns = map(next, self.folds) if self._stack is None else self._stack.evaluations()
        for training in self.folds:
            evaluation = next(turns)
            if self._device_memory is not None and isinstance(training, FoldTraining):
                if must_wait_elsewhere(training.n_bytes, len(self.folds), self._device_memory):
                    training.leave_device()
            fold = training.fold.number if len(self.folds) > 1 else None
            evaluations.append(finite_evaluation(evaluation, fold, name, has_loss=has_loss))
        return tuple(evaluations)

    def _record(self, evaluations: Round) -> None:
        self.curve.append(evaluations)
        self._choice.add(_mean_score(evaluations))
        for training in self.folds:
            training.follow(self._choice)
        if len(self.curve) == self.n_evaluations or self._is_exhausted():
            self.outcome = "complete"

    @property
    def mean_scores(self) -> list[float]:
        """Mean over folds of the objective's score, at each evaluation so far."""
        return [_mean_score(row) for row in self.curve]

    @property
    def best_step(self) -> int | None:
        """Index of the best evaluation so far; None before the first."""
        return self._choice.step

    def take_notes(self) -> list[str]:
        """Return the notes for the user since the last call, each once."""
        of_folds = [note for fold in self.folds for note in fold.take_notes()]
        notes, self._notes = [*self._notes, *of_folds], []
        return list(dict.fromkeys(notes))

    def _is_exhausted(self) -> bool:
        """Return whether early stopping ends the trial now."""
        stopping = self.config.training.early_stopping
        if stopping is None:
            return False
        if stopping.monitor == "train_loss":
            losses = [fmean(evaluation.train_loss for evaluation in row) for row in self.curve]
            return no_longer_improves(losses, "minimize", stopping)
        direction = self.config.objective.direction
        return no_longer_improves(self._choice.smoothed, direction, stopping)

    def result(self, outcome: Literal["complete", "pruned"] = "complete") -> TrialResult:
        """Return the result of the trial when the caller stops iterating.

        Args:
            outcome: `pruned` if the caller stopped it early. The result of a diverged or failed
                trial has that outcome in any case.
        """
        if self.outcome is not None and self.outcome != "complete":
            return self.measured(TrialResult(self.outcome, self.reason))
        step = self.best_step if outcome == "complete" else len(self.curve) - 1
        if step is None or step < 0:
            raise ValueError("A trial has no result before its first evaluation.")
        evaluations = self.curve[step]
        outputs = (training.best_outputs for training in self.folds)
        result = TrialResult(
            outcome=outcome,
            value=_mean_score(evaluations),
            best_step=step,
            fold_scores=tuple(evaluation.score for evaluation in evaluations),
            metrics={
                name: mean(evaluation.metrics[name] for evaluation in evaluations)
                for name in evaluations[0].metrics
            },
            predictions=self.archive(outputs) if outcome == "complete" else None,
        )
        return self.measured(result)

    def measured(self, result: TrialResult) -> TrialResult:
        """Return the result with the trial's number of weights, duration and peak memory."""
        return replace(
            result,
            n_weights=self.folds[0].n_weights,
            seconds=self.seconds,
            peak_memory=self._peak.n_bytes,
        )

    @property
    def loops(self) -> list[FoldTraining]:
        """The folds; none if the user's own training trains them."""
        return [fold for fold in self.folds if isinstance(fold, FoldTraining)]

    @property
    def user_loops(self) -> list[UserFoldTraining]:
        """The folds that the user's own training trains; none or all."""
        return [fold for fold in self.folds if isinstance(fold, UserFoldTraining)]

    def close(self) -> bool:
        """End the user's own trainings; return whether all have ended."""
        ends = [fold.close() for fold in self.user_loops]  # each, whatever the others do
        return all(ends)

    def archive(self, outputs_of_folds: Iterable[Predictions | None]) -> bytes | None:
        """Return validation rows and outputs of every fold as an npz archive.

        None if the user's own training did not report predictions.
        """
        arrays: dict[str, Any] = {}
        for training, outputs in zip(self.folds, outputs_of_folds, strict=True):
            if outputs is None:
                return None
            number = training.fold.number
            arrays[f"rows_{number}"] = training.fold.valid_rows.numpy(force=True)
            arrays[f"outputs_{number}"] = outputs.reshape(len(outputs), -1)
        archive = io.BytesIO()
        np.savez(archive, **arrays)
        return archive.getvalue()

    @property
    def checkpoint_bytes(self) -> int:
        """Approximate size of `state_dict`: own weights, two moments of each, and kept weights."""
        n_copies = 3 + self.config.training.smooth_score
        own = sum(4 * fold.n_weights for fold in self.folds)
        return n_copies * (own - sum(fold.shared_bytes for fold in self.loops))

    def state_dict(self) -> dict[str, Any]:
        """Return the state to resume from bit for bit; see `FoldTraining.state_dict`."""
        return {
            "folds": [training.state_dict() for training in self.folds],
            "curve": [[asdict(evaluation) for evaluation in row] for row in self.curve],
            "outcome": self.outcome,
            "reason": self.reason,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict` of a trial with the same configuration and folds.

        Raises:
            CheckpointError: it was made with other pretrained weights; nothing is loaded.
        """
        for loop, saved in zip(self.loops, state["folds"], strict=False):
            if (changed := loop.changed_weight(saved)) is not None:
                raise CheckpointError(f"its pretrained weights have changed ({changed} differs)")
        for training, saved in zip(self.folds, state["folds"], strict=True):
            training.load_state_dict(saved)
        self.curve = [tuple(Evaluation(**saved) for saved in row) for row in state["curve"]]
        self.outcome = state["outcome"]
        self.reason = state["reason"]
        self.seconds = state["seconds"]
        self._choice = choice_for(self.config, self.mean_scores)


def _mean_score(evaluations: Round) -> float:
    return fmean(evaluation.score for evaluation in evaluations)
