"""Average weights exponentially; the average is evaluated in place of the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def average_weights(model: nn.Module, decay: float) -> AveragedModel:
    """Return an averaged copy of `model`; call `update_parameters(model)` on it after each step.

    Frozen weights that the copy shares with `model` are not written.

    Buffers are averaged too, so that the running mean and variance of a batch norm belong to the
    averaged weights, not to the newest ones.

    The decay rises as (1 + t) / (10 + t) over the updates t until it reaches `decay`, as in
    TensorFlow's ExponentialMovingAverage; with a constant decay of 0.999, the initial weights
    would make up half of the average after 700 steps.

    Args:
        decay: weight of the old average at each step. Range (0, 1).
    """

    @torch.no_grad()
    def lerp(averages: Tensors, weights: Tensors, n_averaged: Tensor | int) -> None:
        t = float(n_averaged)
        share = 1 - min(decay, (1 + t) / (10 + t))
        pairs = [(a, w) for a, w in zip(averages, weights, strict=True) if not a.is_set_to(w)]
        own, new = [a for a, _ in pairs], [w for _, w in pairs]  # without shared frozen weights
        if averages[0].is_floating_point():
            torch._foreach_lerp_(own, new, share)
        else:
            torch._foreach_copy_(own, new)  # counters, such as num_batches_tracked

    return AveragedModel(model, multi_avg_fn=lerp, use_buffers=True)
