"""Equal models, one per fold, that compute their outputs and gradients as one stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tunecli.training.stack.joined_tensors import CannotStackError, bound
from tunecli.training.stack.stack import Stack
from tunecli.training.stack.stacked_layers import LAYERS
from tunecli.training.stack.table_models import TABLE_MODELS


class StackedModels:
    """Computes with several models in training at once.

    Attributes:
        weights: the weights of all models, in the order of `gradients`.
    """

    def __init__(self, models: Sequence[nn.Module], n_rows: int) -> None:
        """Stack models for batches of `n_rows` rows.

        Raises:
            CannotStackError: they have layers, or tensors, that cannot be stacked.
        """
        self._stack = Stack(n_rows, {**LAYERS, **TABLE_MODELS})
        self._forward = self._stack.layer(models)
        tensors = [t for m in models for t in (*m.parameters(), *m.buffers())]
        if {id(t) for t in tensors} != {id(t) for t in self._stack.joined}:
            raise CannotStackError
        self.weights = [t for t in self._stack.joined if t.requires_grad]
        if len(self.weights) != sum(len(list(model.parameters())) for model in models):
            raise CannotStackError  # some are frozen

    @contextmanager
    def bound(self, generators: Sequence[torch.Generator]) -> Iterator[None]:
        """Let the models train as one stack within the block.

        Args:
            generators: the models' generators, from which their layers draw.
        """
        self._stack.generators = generators
        with bound([*self._stack.weights, *self._stack.buffers]):
            yield

    def outputs(self, x: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return each model's outputs for its own rows, (n_rows, n_outputs) each."""
        return self._forward(torch.stack(list(x))).unbind(0)

    def gradients(self, losses: Sequence[Tensor]) -> list[Tensor]:
        """Return the gradients of each model's own loss, with the strides of its weights."""
        found = torch.autograd.grad(losses, self._stack.leaves)
        return [
            part
            for joined, gradient in zip(self._stack.weights, found, strict=True)
            for part in joined.divided(gradient.contiguous())
        ]
