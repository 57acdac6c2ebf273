"""Join equal modules of several models to layers that compute with all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from tunecli.training.stack.joined_tensors import CannotStackError, JoinedTensors

Forward = Callable[[Tensor], Tensor]
"""A stacked layer, (n_models, n_rows, …) -> (n_models, n_rows, …)."""


class Stack:
    """Joins the tensors of equal models, layer by layer.

    Attributes:
        n_rows: rows of a batch of each model.
        weights: the joined weights, in the order of the layers.
        leaves: tensors of `weights` that the stacked layers compute with, and gradients belong to.
        buffers: the joined buffers, such as running means.
        joined: the models' own tensors that were joined.
        generators: torch's generators of the models, from which their layers draw.
    """

    def __init__(self, n_rows: int, kinds: Mapping[type[nn.Module], Builder]) -> None:
        """Begin without layers.

        Args:
            kinds: how to stack each type of module.
        """
        self.n_rows = n_rows
        self.weights: list[JoinedTensors] = []
        self.leaves: list[Tensor] = []
        self.buffers: list[JoinedTensors] = []
        self.joined: list[Tensor] = []
        self.generators: Sequence[torch.Generator] = ()
        self._kinds = kinds

    def layer(self, modules: Sequence[nn.Module]) -> Forward:
        """Return the stacked layer of equal modules in training.

        Raises:
            CannotStackError: there is none for them.
        """
        [kind, *others] = {type(module) for module in modules}
        if others or kind not in self._kinds:
            raise CannotStackError
        return self._kinds[kind](modules, self)

    def weight(self, tensors: Sequence[Tensor], sizes: Sequence[int] | None = None) -> Tensor:
        """Join weights; return the leaf."""
        joined = JoinedTensors(tensors, sizes)
        self.weights.append(joined)
        self.leaves.append(joined.memory.detach().requires_grad_())
        self.joined += tensors
        return self.leaves[-1]

    def buffer(self, tensors: Sequence[Tensor]) -> Tensor:
        """Join buffers; return the joined tensor."""
        joined = JoinedTensors(tensors)
        self.buffers.append(joined)
        self.joined += tensors
        return joined.memory


Builder = Callable[[Sequence[nn.Module], Stack], Forward]
"""Stacks equal modules."""
