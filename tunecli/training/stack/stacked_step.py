"""Make one optimizer step of all folds: their outputs, gradients and updates at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunecli.training.stack.joined_tensors import JoinedTensors
from tunecli.training.stack.stacked_models import StackedModels
from tunecli.training.state.random_state import Draws
from tunecli.training.step.batches import Batch
from tunecli.training.step.direct_updates import GroupUpdate, is_ready, kernel_of
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
        self._folds = folds
        self._models = StackedModels([fold.model for fold in folds], n_rows)
        self._update: JointUpdate | None = None

    @contextmanager
    def bound(self, draws: Sequence[Draws]) -> Iterator[None]:
        """Let the folds train as one stack within the block.

        Args:
            draws: the folds' own generators.
        """
        self._draws = draws
        with self._models.bound([one.of_torch for one in draws if one.of_torch is not None]):
            try:
                yield
            finally:
                self._end_update()

    def __call__(self, groups: Sequence[Sequence[Batch]]) -> None:
        """Step once with each fold's group of batches."""
        folds = zip(self._folds, groups, self._draws, strict=True)
        groups = [fold.step.prepared(group, draws) for fold, group, draws in folds]
        gradients = self._gradients(groups)
        if any(fold.step.adjusts for fold in self._folds):
            self._give(gradients)
            for fold in self._folds:
                fold.step.adjust_gradient()
            for weight in self._models.weights:
                weight.grad = None
        self._make_update(gradients)

    def _gradients(self, groups: Sequence[Sequence[Batch]]) -> list[Tensor]:
        """Return the gradients of each fold's mean loss, and record the losses."""
        steps = [fold.step for fold in self._folds]
        shares = [step.shares(group) for step, group in zip(steps, groups, strict=True)]
        turns = zip(zip(*groups, strict=True), zip(*shares, strict=True), strict=True)
        gradients, means = self._of_batches(*next(turns))
        for batches, of_batches in turns:
            more, losses = self._of_batches(batches, of_batches)
            torch._foreach_add_(gradients, more)
            torch._foreach_add_(means, losses)
        for step, group, mean in zip(steps, groups, means, strict=True):
            step.record(mean, step.total_weight(group))
        return gradients

    def _of_batches(
        self, batches: Sequence[Batch], shares: Sequence[Tensor | float]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the gradients of one batch of each fold, and its losses times their shares."""
        outputs = self._models.outputs([batch.x for batch in batches])
        losses = [
            fold.step.loss_of(of_batch, batch) * share
            for fold, of_batch, batch, share in zip(
                self._folds, outputs, batches, shares, strict=True
            )
        ]
        return self._models.gradients(losses), [loss.detach() for loss in losses]

    def _make_update(self, gradients: list[Tensor]) -> None:
        """Update the weights of all folds: by one kernel, or each by its own optimizers."""
        if self._update is None:
            self._update = JointUpdate.of(self._folds, self._models.weights)
        if self._update is not None:
            self._update(gradients)
            return
        self._give(gradients)
        for fold in self._folds:
            fold.step.update()

    def _give(self, gradients: list[Tensor]) -> None:
        for weight, gradient in zip(self._models.weights, gradients, strict=True):
            weight.grad = gradient

    def _end_update(self) -> None:
        if self._update is not None:
            self._update.end()
            self._update = None


class JointUpdate:
    """Updates the weights of several models with one optimizer each, by one kernel call.

    The steps that the optimizers count lie in one tensor until `end`.
    """

    def __init__(self, optimizers: Sequence[Optimizer], weights: Sequence[Tensor]) -> None:
        """Prepare for optimizers of one kind, whose states exist.

        Args:
            weights: the weights of all models, in the order in which their gradients come.
        """
        kernel = kernel_of(optimizers[0])
        assert kernel is not None, "only these have a joint update"
        n_groups = len(optimizers[0].param_groups)
        self._weights = weights
        self._groups = [GroupUpdate(kernel, optimizers, index) for index in range(n_groups)]
        places = {id(weight): place for place, weight in enumerate(weights)}
        orders = [[places[id(weight)] for weight in group.weights] for group in self._groups]
        self._pick = [itemgetter(*order) for order in orders]
        steps = [step for group in self._groups for step in group.steps]
        self._steps = JoinedTensors(steps) if steps else None
        if self._steps is not None:
            self._steps.bind()

    @classmethod
    def of(cls, folds: Sequence[SteppingFold], weights: Sequence[Tensor]) -> JointUpdate | None:
        """Return the update of folds; None if their optimizers must make their own steps now."""
        optimizers = [optimizer for fold in folds for optimizer in fold.optimizers]
        kernel = kernel_of(optimizers[0])
        if len(optimizers) > len(folds) or kernel is None:
            return None
        is_possible = all(is_ready(optimizer, kernel) for optimizer in optimizers)
        return cls(optimizers, weights) if is_possible else None

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        """Update the weights by gradients in their order."""
        if self._steps is not None:
            self._steps.memory.add_(1)
        for group, pick in zip(self._groups, self._pick, strict=True):
            group(list(pick(gradients)), counted=True)

    def end(self) -> None:
        """Move the steps back to their optimizers."""
        if self._steps is not None:
            self._steps.release()
