"""Train all folds of a trial to their next evaluation, as one stack where their batches allow it.

Each fold keeps its model, optimizer, batches, schedule and random numbers. Whenever all folds have
a whole batch next, they step together; a fold with another batch, such as the rest of an epoch,
steps alone. So it does not matter that folds differ by a row, and every fold has the bits that it
has alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Protocol

import torch
from torch import Tensor

from tunecli.data.rows.dataset import FoldData
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.stack.stacked_step import StackedStep, SteppingFold
from tunecli.training.state.random_state import Draws, OwnGenerators, RandomStream
from tunecli.training.step.batches import Batch
from tunecli.training.step.precision import Precision

Group = tuple[Batch, ...]


class StackableFold(SteppingFold, Protocol):
    """What a fold gives to train in a stack."""

    fold: FoldData
    device: torch.device
    precision: Precision
    random: RandomStream

    @property
    def is_over(self) -> bool:
        """Whether all planned evaluations are done."""

    def groups(self, draws: Draws) -> Iterator[Group]:
        """Yield the batches of each step up to the next evaluation."""

    def valid_blocks(self) -> list[Tensor]:
        """Return the validation rows in blocks, as `model` is evaluated; none for an average."""

    def evaluate(self, outputs: Sequence[Tensor] | None = None) -> Evaluation:
        """Measure the model on the validation part, or its outputs for each block."""


class FoldStack:
    """Trains and evaluates the folds of a trial together.

    Attributes:
        evaluates_together: whether the models are evaluated as one stack, too.
    """

    def __init__(self, folds: Sequence[StackableFold], n_rows: int, n_batches: int) -> None:
        """Prepare the stack.

        Args:
            n_rows: rows of a whole batch.
            n_batches: batches of a step.

        Raises:
            CannotStackError: the models cannot be stacked.
        """
        self.evaluates_together = False
        self._folds = folds
        self._step = StackedStep(folds, n_rows)
        self._whole = [n_rows] * n_batches

    def evaluations(self) -> Iterator[Evaluation]:
        """Train all folds to their next evaluation, then yield one evaluation of each."""
        if any(fold.is_over for fold in self._folds):
            return
        with self._folds[0].precision.in_force():
            outputs = self._train()
        for fold, of_fold in zip(self._folds, outputs, strict=True):
            with fold.precision.in_force():
                evaluation = fold.evaluate(of_fold)
            yield evaluation

    def _train(self) -> Sequence[Sequence[Tensor] | None]:
        """Train to the next evaluation, and return the outputs for it, unless folds make them."""
        with ExitStack() as stack:
            random = [stack.enter_context(fold.random.apart()) for fold in self._folds]
            draws = [generators.draws for generators in random]
            stack.enter_context(self._step.bound(draws))
            turns = [
                _Turn(fold, generators, self._whole)
                for fold, generators in zip(self._folds, random, strict=True)
            ]
            while all(turn.has_whole() for turn in turns):
                self._step([turn.take() for turn in turns])
            for turn in turns:
                turn.finish_alone()
            if not self.evaluates_together:
                return [None] * len(self._folds)
            return self._step.evaluated([fold.valid_blocks() for fold in self._folds])


class _Turn:
    """The steps of one fold up to its next evaluation."""

    def __init__(self, fold: StackableFold, random: OwnGenerators, whole: list[int]) -> None:
        self._fold = fold
        self._random = random
        self._whole = whole
        self._groups = fold.groups(random.draws)
        self._next: Group | None = None

    def has_whole(self) -> bool:
        """Step alone until the next group has whole batches; return False if none is left."""
        for group in self._groups:
            if [batch.y.shape[0] for batch in group] == self._whole:
                self._next = group
                return True
            self._step_alone(group)
        return False

    def take(self) -> Group:
        """Return the group that `has_whole` found."""
        assert self._next is not None, "has_whole was true"
        group, self._next = self._next, None
        return group

    def finish_alone(self) -> None:
        """Make the remaining steps, of which other folds have fewer."""
        if self._next is not None:
            self._step_alone(self.take())
        for group in self._groups:
            self._step_alone(group)

    def _step_alone(self, group: Group) -> None:
        with self._random.as_global() as draws:
            self._fold.step(group, draws)
