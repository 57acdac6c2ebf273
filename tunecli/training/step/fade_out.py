"""Let regularization fade towards the end of a training."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer


class FadeOut:
    """Lowers dropout and weight decay to 0 along half a cosine over the last steps.

    With half of all steps, this is the schedule flat_cos of Holzmüller et al. (2024), "Better by
    Default", https://arxiv.org/abs/2407.04491, appendix A.
    """

    def __init__(
        self, share: float, n_steps: int, model: nn.Module, optimizers: Sequence[Optimizer]
    ) -> None:
        """Remember the values of a training of `n_steps` steps before it begins.

        Args:
            share: share of the steps over which they fall.
        """
        self._share = share
        self._n_steps = n_steps
        self._dropout = _dropout(model)
        self._optimizers = optimizers
        self._decay = [[g.get("weight_decay") for g in o.param_groups] for o in optimizers]

    def before_step(self, step: int) -> None:
        """Set dropout and weight decay of optimizer step `step`, counted from 0."""
        self._multiply(self._factor(step / self._n_steps))

    def after_step(self) -> None:
        """Restore dropout and weight decay exactly."""
        self._multiply(1.0)

    def _multiply(self, factor: float) -> None:
        for module, name, value in self._dropout:
            setattr(module, name, value * factor)
        for optimizer, decay in zip(self._optimizers, self._decay, strict=True):
            for group, of_group in zip(optimizer.param_groups, decay, strict=True):
                if of_group is not None:
                    group["weight_decay"] = of_group * factor

    def _factor(self, done: float) -> float:
        position = 1 - (1 - done) / self._share
        return (1 + math.cos(math.pi * max(0.0, position))) / 2


def _dropout(model: nn.Module) -> list[tuple[nn.Module, str, float]]:
    """Return the modules that drop units, with the attribute that holds the probability."""
    found: list[tuple[nn.Module, str, float]] = []
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            found.append((module, "p", module.p))
        elif isinstance(module, nn.RNNBase | nn.MultiheadAttention):
            found.append((module, "dropout", module.dropout))
    return found
