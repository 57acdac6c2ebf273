"""Equal models, one per fold, that compute their outputs and gradients as one stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tunecli.training.stack.joined_tensors import CannotStackError, while_joined
from tunecli.training.stack.picture_layers import PICTURE_MODELS
from tunecli.training.stack.stack import Stack
from tunecli.training.stack.stacked_layers import LAYERS
from tunecli.training.stack.stacked_losses import StackedLosses
from tunecli.training.stack.table_models import TABLE_MODELS


class StackedModels:
    """Computes with several models at once.

    Attributes:
        weights: the weights of all models, in the order of `gradients`.
    """

    def __init__(self, models: Sequence[nn.Module], n_rows: int) -> None:
        """Stack models for batches of `n_rows` rows.

        Raises:
            CannotStackError: they have layers, or tensors, that cannot be stacked.
        """
        self._stack = Stack(n_rows, {**LAYERS, **TABLE_MODELS, **PICTURE_MODELS})
        self._forward = self._stack.layer(models)
        self.weights = self._stack.weights
        tensors = [t for model in models for t in (*model.parameters(), *model.buffers())]
        has_all = {id(tensor) for tensor in tensors} == {id(t) for t in self._stack.seen}
        if not has_all or not all(weight.requires_grad for weight in self.weights):
            raise CannotStackError

    @contextmanager
    def bound(self, generators: Sequence[torch.Generator]) -> Iterator[None]:
        """Let the models train as one stack within the block.

        Args:
            generators: the models' generators, from which their layers draw.
        """
        self._stack.generators = generators
        with while_joined(self._stack.joined):
            yield

    def outputs(self, x: Sequence[Tensor]) -> Tensor:
        """Return each model's outputs for its own rows, (n_models, n_rows, n_outputs)."""
        return self._forward(torch.stack(list(x)))

    @torch.no_grad()
    def evaluated(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Return each model's outputs in evaluation for its own rows, (n_rows, n_outputs).

        Args:
            x: the rows of each model; their numbers differ by one at most.
        """
        most = max(map(len, x))
        whole = [rows if len(rows) == most else torch.cat([rows, rows[-1:]]) for rows in x]
        self._stack.is_training = False
        try:
            outputs = self.outputs(whole)
        finally:
            self._stack.is_training = True
        return [part[: len(rows)] for part, rows in zip(outputs.unbind(0), x, strict=True)]

    def gradients(self, losses: StackedLosses) -> list[Tensor]:
        """Return the gradients of each model's own loss, with the strides of its weights."""
        found = torch.autograd.grad(losses.root, self._stack.leaves, losses.gradient)
        return [
            part
            for divide, gradient in zip(self._stack.divide, found, strict=True)
            for part in divide(gradient)
        ]
