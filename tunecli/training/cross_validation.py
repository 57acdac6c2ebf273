"""Train one trial: its folds in lockstep, one evaluation of each fold at a time.

So the mean score over folds is known from the first evaluation on, for the pruner, which stops
asking for evaluations, and for early stopping here. The value of a trial is the mean at its best
evaluation, which `EvaluationChoice` chooses.

A trial is a sequence of stages (`fold_stages.py`), usually of one. In each stage more folds train
than in the one before, and its curve begins at the first evaluation again: those that joined
earlier have most of their evaluations already. The last stage has all folds, so it gives the curve
and the value that the trial has with a single stage.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.metric_names import target_metrics
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.early_stopping import no_longer_improves
from tunecli.training.fold import FoldTraining
from tunecli.training.fold_group import FoldGroup, Round
from tunecli.training.outcome.decision import mean_of_targets, measure_targets
from tunecli.training.outcome.evaluation import Evaluation, Outcome, TargetScores, TrialResult
from tunecli.training.outcome.evaluation_choice import choice_for
from tunecli.training.outcome.failure_reasons import ERROR
from tunecli.training.outcome.score_guard import NoScoreError, mean
from tunecli.training.state.checkpoints import CheckpointError
from tunecli.training.state.memory import PeakMemory
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.losses import Predictions
from tunecli.training.user_loop.user_training import UserFoldTraining
from tunecli.training.user_loop.user_trial import REHEARSED, UserTrial


class CrossValidation:
    """Trains a trial; each item is one evaluation of every fold that takes part in the stage.

    Attributes:
        config: the configuration of the trial.
        n_folds: number of folds of the trial.
        groups: the folds that have begun, in groups that began together.
        n_evaluations: planned number of evaluations of a stage; early stopping may end it sooner.
            None if only the user's own training determines it.
        curve: the evaluations of the current stage so far.
        ends_stage: whether the current stage has ended and more folds join next.
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
        stages: Sequence[int] = (),
    ) -> None:
        """Prepare the folds of the first stage.

        Args:
            trial: what the user's own training learns of its trial.
            models: models to train further, in place, one per fold; None for new ones. They have
                one stage.
            stages: number of folds that train in each stage; empty for one stage of all folds.
        """
        self._peak = PeakMemory(device)
        self.config = config
        self.n_folds = len(folds)
        self._data, self._device, self._trial, self._models = folds, device, trial, models
        self.groups: list[FoldGroup] = []
        self._joining = list(pairwise((0, *(stages or [len(folds)]))))
        self._join()
        self.n_evaluations = self.groups[0].n_evaluations
        self._earlier: list[list[Round]] = []  # the curves of the stages that have ended
        self.curve: list[Round] = []
        self.ends_stage = False
        self.outcome: Outcome | None = None
        self.reason = ""
        self._choice = choice_for(config)
        self.seconds = 0.0

    def _join(self) -> None:
        """Let the folds of the next stage begin."""
        begin, end = self._joining.pop(0)
        fewest = None
        if self.config.train is None:
            size = self.config.training.batch_size
            fewest = min(len(batch_sizes(len(fold.y_train), size)) for fold in self._data)
        group = FoldGroup(
            self.config,
            self._data[begin:end],
            self._device,
            self._trial,
            fewest,
            self._models,
            n_folds=self.n_folds,
        )
        self.groups.append(group)

    def _begin_stage(self) -> None:
        self._join()
        self._earlier.append(self.curve)
        self.curve, self.ends_stage = [], False
        self._choice = choice_for(self.config)

    @property
    def folds(self) -> list[FoldTraining | UserFoldTraining]:
        """The trainings that have begun, in the order of the data's folds; at the end all."""
        return [training for group in self.groups for training in group.folds]

    def __iter__(self) -> Iterator[Round]:
        return self

    def __next__(self) -> Round:
        if self.outcome is not None:
            raise StopIteration
        start = time.perf_counter()
        try:
            if self.ends_stage:
                self._begin_stage()
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
        evaluations: Round = ()
        for group in self.groups:
            evaluations += group.at(len(self.curve))
        return evaluations

    def _record(self, evaluations: Round) -> None:
        self.curve.append(evaluations)
        self._choice.add(_mean_score(evaluations))
        of_all_folds = choice_for(self.config) if self._joining else self._choice
        for group in self.groups:
            group.follow(of_all_folds)
        if len(self.curve) == self.n_evaluations or self._is_exhausted():
            if self._joining:
                self.ends_stage = True
            else:
                self.outcome = "complete"

    @property
    def rounds(self) -> list[tuple[Round, bool]]:
        """All evaluations so far, each with whether a stage ended with it."""
        stages = [*self._earlier, self.curve]
        ends = [
            *(len(stage) for stage in self._earlier),
            len(self.curve) if self.ends_stage else 0,
        ]
        return [
            (evaluations, number == end)
            for stage, end in zip(stages, ends, strict=True)
            for number, evaluations in enumerate(stage, 1)
        ]

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
        notes = [note for fold in self.folds for note in fold.take_notes()]
        for group in self.groups:
            notes, group.notes = [*group.notes, *notes], []
        return list(dict.fromkeys(notes))

    def _is_exhausted(self) -> bool:
        """Return whether early stopping ends the stage now."""
        stopping = self.config.training.early_stopping
        if stopping is None:
            return False
        if stopping.monitor == "train_loss":
            losses = [fmean(evaluation.train_loss for evaluation in row) for row in self.curve]
            return no_longer_improves(losses, "minimize", stopping)
        direction = self.config.objective.direction
        return no_longer_improves(self._choice.smoothed, direction, stopping)

    def result(
        self, outcome: Literal["complete", "pruned"] = "complete", last: Round | None = None
    ) -> TrialResult:
        """Return the result of the trial when the caller stops iterating.

        Args:
            outcome: `pruned` if the caller stopped it early. The result of a diverged or failed
                trial has that outcome in any case.
            last: the evaluations after which a pruned trial ends, which are not the newest ones if
                it was resumed; None for the newest.
        """
        if self.outcome is not None and self.outcome != "complete":
            return self.measured(TrialResult(self.outcome, self.reason))
        if self.best_step is None:
            raise ValueError("A trial has no result before its first evaluation.")
        evaluations = self.curve[self.best_step]
        if outcome == "pruned":
            evaluations = last or self.curve[-1]
        result = TrialResult(
            outcome=outcome,
            value=_mean_score(evaluations),
            best_step=evaluations[0].step,
            fold_scores=tuple(evaluation.score for evaluation in evaluations),
            metrics={
                name: mean(evaluation.metrics[name] for evaluation in evaluations)
                for name in evaluations[0].metrics
            },
        )
        if outcome == "complete":
            outputs = [training.best_outputs for training in self.folds]
            result = self.with_outputs(result, outputs)
        return self.measured(result)

    def with_outputs(
        self, result: TrialResult, outputs: Sequence[Predictions | None]
    ) -> TrialResult:
        """Return the result with out-of-fold predictions, and the scores of several targets.

        Args:
            outputs: one array per fold; None where the user's own training reported none.
        """
        known = [one for one in outputs if one is not None]
        if len(known) < len(outputs):
            return replace(result, predictions=None, of_targets={})
        return replace(
            result, predictions=self._archive(known), of_targets=self._scores_of_targets(known)
        )

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
        """The folds that have begun; none if the user's own training trains them."""
        return [fold for fold in self.folds if isinstance(fold, FoldTraining)]

    @property
    def user_loops(self) -> list[UserFoldTraining]:
        """The folds that the user's own training trains; none or all."""
        return [fold for fold in self.folds if isinstance(fold, UserFoldTraining)]

    def close(self) -> bool:
        """End the user's own trainings; return whether all have ended."""
        ends = [fold.close() for fold in self.user_loops]  # each, whatever the others do
        return all(ends)

    def _archive(self, outputs_of_folds: Sequence[Predictions]) -> bytes:
        """Return validation rows and outputs of every fold as an npz archive."""
        arrays: dict[str, Any] = {}
        for training, outputs in zip(self.folds, outputs_of_folds, strict=True):
            number = training.fold.number
            arrays[f"rows_{number}"] = training.fold.valid_rows.numpy(force=True)
            arrays[f"outputs_{number}"] = outputs.reshape(len(outputs), -1)
        archive = io.BytesIO()
        np.savez(archive, **arrays)
        return archive.getvalue()

    def _scores_of_targets(self, outputs_of_folds: Sequence[Predictions]) -> TargetScores:
        """Return the scores of each of several targets, means over folds; else nothing."""
        names, task = self.config.data.targets, self._data[0].task
        if not names:
            return {}
        metrics = target_metrics(self.config, task)
        of_folds = []
        for fold, outputs in zip(self._data, outputs_of_folds, strict=True):
            y = fold.y_valid.numpy(force=True)
            of_folds += [measure_targets(names, metrics, task, y, outputs, fold.valid_weights)]
        return mean_of_targets(of_folds)

    @property
    def checkpoint_bytes(self) -> int:
        """Approximate size of `state_dict`: own weights, two moments of each, and kept weights.

        While folds wait to join, every evaluation of the others is kept.
        """
        n_kept = self.n_evaluations if self._joining else None
        n_copies = 3 + (n_kept or self.config.training.smooth_score)
        own = sum(4 * fold.n_weights for fold in self.folds)
        return n_copies * (own - sum(fold.shared_bytes for fold in self.loops))

    def state_dict(self) -> dict[str, Any]:
        """Return the state to resume from bit for bit; see `FoldTraining.state_dict`."""
        return {
            "folds": [training.state_dict() for training in self.folds],
            "earlier": [_as_data(stage) for stage in self._earlier],
            "curve": _as_data(self.curve),
            "ends_stage": self.ends_stage,
            "outcome": self.outcome,
            "reason": self.reason,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict` of a trial with the same configuration and folds.

        Raises:
            CheckpointError: it was made with other pretrained weights; nothing is loaded.
        """
        while len(self.folds) < len(state["folds"]) and self._joining:
            self._join()
        for loop, saved in zip(self.loops, state["folds"], strict=False):
            if (changed := loop.changed_weight(saved)) is not None:
                raise CheckpointError(f"its pretrained weights have changed ({changed} differs)")
        for training, saved in zip(self.folds, state["folds"], strict=True):
            training.load_state_dict(saved)
        self._earlier = [_from_data(stage) for stage in state.get("earlier", [])]
        self.curve = _from_data(state["curve"])
        self.ends_stage = state.get("ends_stage", False)  # earlier versions had one stage
        self._restore_groups()
        self.outcome = state["outcome"]
        self.reason = state["reason"]
        self.seconds = state["seconds"]
        self._choice = choice_for(self.config, self.mean_scores)

    def _restore_groups(self) -> None:
        """Give each group its evaluations, which are those of its folds in the stages so far."""
        begin = 0
        for group in self.groups:
            end = begin + len(group.folds)
            stages = [stage for stage in (*self._earlier, self.curve) if stage]
            having = [stage for stage in stages if len(stage[0]) >= end]
            longest = max(having, key=len, default=[])
            group.curve = [evaluations[begin:end] for evaluations in longest]
            begin = end


def _as_data(curve: Sequence[Round]) -> list[list[dict[str, Any]]]:
    return [[asdict(evaluation) for evaluation in evaluations] for evaluations in curve]


def _from_data(curve: Sequence[Sequence[dict[str, Any]]]) -> list[Round]:
    return [tuple(Evaluation(**saved) for saved in evaluations) for evaluations in curve]


def _mean_score(evaluations: Round) -> float:
    return fmean(evaluation.score for evaluation in evaluations)
