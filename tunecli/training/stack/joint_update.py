"""Update the weights of several models by one call of a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from torch import Tensor
from torch.optim import Optimizer

from tunecli.training.stack.joined_tensors import JoinedTensors
from tunecli.training.step.direct_updates import GroupUpdate, is_ready, kernel_of


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
    def of(
        cls, optimizers: Sequence[Sequence[Optimizer]], weights: Sequence[Tensor]
    ) -> JointUpdate | None:
        """Return the update of models; None if their optimizers must make their own steps now.

        Args:
            optimizers: those of each model, of equal kinds.
        """
        [first, *others] = zip(*optimizers, strict=True)
        kernel = kernel_of(first[0])
        if others or kernel is None or not all(is_ready(one, kernel) for one in first):
            return None
        return cls(first, weights)

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
