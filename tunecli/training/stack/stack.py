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
        joined: the joined weights and buffers.
        leaves: the tensors to which gradients belong: joined weights, and weights of layers that
            compute one by one.
        divide: for each leaf, what divides its gradient into those of `weights`.
        weights: the models' own weights, in the order of the leaves.
        seen: all tensors of the models that the layers use.
        generators: torch's generators of the models, from which their layers draw.
        is_training: whether layers compute as in training, else as in evaluation.
    """

    def __init__(self, n_rows: int, kinds: Mapping[type[nn.Module], Builder]) -> None:
        """Begin without layers.

        Args:
            kinds: how to stack each type of module.
        """
        self.n_rows = n_rows
        self.joined: list[JoinedTensors] = []
        self.leaves: list[Tensor] = []
        self.divide: list[Callable[[Tensor], tuple[Tensor, ...]]] = []
        self.weights: list[Tensor] = []
        self.seen: list[Tensor] = []
        self.generators: Sequence[torch.Generator] = ()
        self.is_training = True
        self._kinds = kinds

    def layer(self, modules: Sequence[nn.Module]) -> Forward:
        """Return the stacked layer of equal modules.

        Raises:
            CannotStackError: there is none for them.
        """
        [kind, *others] = {type(module) for module in modules}
        if others or kind not in self._kinds:
            raise CannotStackError
        return self._kinds[kind](modules, self)

    def weight(self, tensors: Sequence[Tensor], sizes: Sequence[int] | None = None) -> Tensor:
        """Join weights, along their first dimension if its sizes are given; return the leaf."""
        joined = JoinedTensors(tensors, sizes)
        leaf = joined.memory.detach().requires_grad_()
        self.joined.append(joined)
        self._add(leaf, lambda gradient: joined.divided(joined.as_tensors(gradient)), tensors)
        return leaf

    def buffer(self, tensors: Sequence[Tensor]) -> Tensor:
        """Join buffers; return the joined tensor."""
        self.joined.append(JoinedTensors(tensors))
        self.seen += tensors
        return self.joined[-1].memory

    def one_by_one(self, modules: Sequence[nn.Module]) -> Forward:
        """Return a layer in which each module computes alone.

        The modules must draw nothing, and leave their buffers as they are.

        Raises:
            CannotStackError: their weights are not contiguous.
        """
        for module in modules:
            self.seen += module.buffers()
            for weight in module.parameters():
                if not weight.is_contiguous():
                    raise CannotStackError
                self._add(weight, lambda gradient: (gradient.contiguous(),), [weight])
        return lambda x: torch.stack(
            [module(part) for module, part in zip(modules, x.unbind(0), strict=True)]
        )

    def _add(
        self,
        leaf: Tensor,
        divide: Callable[[Tensor], tuple[Tensor, ...]],
        weights: Sequence[Tensor],
    ) -> None:
        self.leaves.append(leaf)
        self.divide.append(divide)
        self.weights += weights
        self.seen += weights


Builder = Callable[[Sequence[nn.Module], Stack], Forward]
"""Stacks equal modules."""
