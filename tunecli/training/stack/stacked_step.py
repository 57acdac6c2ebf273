"""Make one optimizer step of all folds: their outputs, gradients and updates at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunecli.training.stack.joined_tensors import JoinedTensors, while_joined
from tunecli.training.stack.joint_update import JointUpdate
from tunecli.training.stack.stacked_losses import Shares, stacked_losses
from tunecli.training.stack.stacked_models import StackedModels
from tunecli.training.state.random_state import Draws
from tunecli.training.step.batches import Batch
from tunecli.training.step.gradient_step import GradientStep


class SteppingFold(Protocol):
    """What a fold gives for its steps in a stack."""

    model: nn.Module
    optimizers: list[Optimizer]
    step: GradientStep


class StackedStep:
    """Makes steps of several folds; each has the result of the fold's own step."""

    def __init__(self, folds: Sequence[SteppingFold], n_rows: int) -> None:
        """Prepare steps on batches of `n_rows` rows.

        Raises:
            CannotStackError: the models cannot be stacked.
        """
        self._steps = [fold.step for fold in folds]
        self._optimizers = [fold.optimizers for fold in folds]
        self._sums = JoinedTensors([step.loss_sum for step in self._steps])
        self._models = StackedModels([fold.model for fold in folds], n_rows)
        self._update: JointUpdate | None = None

    @contextmanager
    def bound(self, draws: Sequence[Draws]) -> Iterator[None]:
        """Let the folds train as one stack within the block.

        Args:
            draws: the folds' own generators.
        """
        self._draws = draws
        generators = [one.of_torch for one in draws if one.of_torch is not None]
        with self._models.bound(generators), while_joined([self._sums]):
            try:
                yield
            finally:
                self._end_update()

    def __call__(self, groups: Sequence[Sequence[Batch]]) -> None:
        """Step once with each fold's group of batches."""
        if self._steps[0].changes:
            parts = zip(self._steps, groups, self._draws, strict=True)
            groups = [step.prepared(group, draws) for step, group, draws in parts]
        gradients = self._gradients(groups)
        if self._steps[0].adjusts:
            self._give(gradients)
            for step in self._steps:
                step.adjust_gradient()
            for weight in self._models.weights:
                weight.grad = None
        self._make_update(gradients)

    def evaluated(self, blocks: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
        """Return the outputs of each fold's model in evaluation, for its own blocks of rows."""
        parts = [self._models.evaluated(block) for block in zip(*blocks, strict=True)]
        return [list(of_fold) for of_fold in zip(*parts, strict=True)]

    def _gradients(self, groups: Sequence[Sequence[Batch]]) -> list[Tensor]:
        """Return the gradients of each fold's mean loss, and record the losses."""
        shares = [step.shares(group) for step, group in zip(self._steps, groups, strict=True)]
        turns = zip(zip(*groups, strict=True), zip(*shares, strict=True), strict=True)
        gradients, means = self._of_batches(*next(turns))
        for batches, of_batches in turns:
            more, losses = self._of_batches(batches, of_batches)
            torch._foreach_add_(gradients, more)
            means += losses
        self._record(groups, means)
        return gradients

    def _of_batches(self, batches: Sequence[Batch], shares: Shares) -> tuple[list[Tensor], Tensor]:
        """Return the gradients of one batch of each fold, and its losses times their shares."""
        outputs = self._models.outputs([batch.x for batch in batches])
        losses = stacked_losses(self._steps, outputs, batches, shares)
        return self._models.gradients(losses), losses.values

    def _record(self, groups: Sequence[Sequence[Batch]], means: Tensor) -> None:
        """Add the mean losses of the folds, (n_folds,), to their sums."""
        first = self._steps[0].total_weight(groups[0])
        if isinstance(first, int):  # the number of rows, which all folds have in common
            self._sums.memory.add_(means * first)
            for step in self._steps:
                step.count(first)
            return
        for step, group, mean in zip(self._steps, groups, means.unbind(0), strict=True):
            step.record(mean, step.total_weight(group))

    def _make_update(self, gradients: list[Tensor]) -> None:
        """Update the weights of all folds: by one kernel, or each by its own optimizers."""
        if self._update is None:
            self._update = JointUpdate.of(self._optimizers, self._models.weights)
        if self._update is not None:
            self._update(gradients)
            return
        self._give(gradients)
        for step in self._steps:
            step.update()

    def _give(self, gradients: list[Tensor]) -> None:
        for weight, gradient in zip(self._models.weights, gradients, strict=True):
            weight.grad = gradient

    def _end_update(self) -> None:
        if self._update is not None:
            self._update.end()
            self._update = None
