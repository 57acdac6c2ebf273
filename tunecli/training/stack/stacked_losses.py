"""Compute the losses of several models from their stacked outputs, and where gradients begin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunecli.training.step.batches import Batch
from tunecli.training.step.gradient_step import GradientStep
from tunecli.training.step.losses import Loss

Shares = Sequence[Tensor | float]
"""The share of each model's batch in the mean over its step; 1.0 if it is the only one."""


class StackedLosses(NamedTuple):
    """Losses of the models' batches times their shares.

    Attributes:
        values: (n_models,), detached.
        root: a tensor of the graph, from which gradients flow back.
        gradient: the gradient of the sum of all losses there.
    """

    values: Tensor
    root: Tensor
    gradient: Tensor


def stacked_losses(
    steps: Sequence[GradientStep], outputs: Tensor, batches: Sequence[Batch], shares: Shares
) -> StackedLosses:
    """Return the losses of outputs, (n_models, n_rows, n_outputs)."""
    first = batches[0]
    if _is_plain(steps[0].loss) and first.other is None and first.weights is None:
        return _cross_entropies(outputs, torch.stack([batch.y for batch in batches]), shares)
    parts = zip(steps, outputs.unbind(0), batches, shares, strict=True)
    losses = [step.loss_of(of_batch, batch) * share for step, of_batch, batch, share in parts]
    root = torch.stack(losses)
    return StackedLosses(root.detach(), root, torch.ones_like(root))


def _is_plain(loss: Loss) -> bool:
    """Return whether a loss is the cross-entropy without class weights or smoothing."""
    module = loss.module
    return (
        isinstance(module, nn.CrossEntropyLoss)
        and module.weight is None
        and (module.reduction, module.label_smoothing, module.ignore_index) == ("mean", 0.0, -100)
    )


@lru_cache(maxsize=64)
def _gradients_of_means(shares: tuple[float, ...], n_rows: int) -> tuple[Tensor, Tensor]:
    """Return the shares, (n_models,), and those of each row, (n_models, n_rows, 1), negative."""
    of_models = torch.tensor(shares)
    return of_models, (of_models / -n_rows).view(-1, 1, 1).expand(-1, n_rows, 1)


@torch.no_grad()
def _cross_entropies(outputs: Tensor, y: Tensor, shares: Shares) -> StackedLosses:
    """Return mean cross-entropies, with torch's kernels; only sums over rows are one by one.

    Args:
        y: (n_models, n_rows) int64.
    """
    log_p = torch.log_softmax(outputs, 2)
    pairs = zip(log_p.unbind(0), y.unbind(0), strict=True)
    values = torch.stack([functional.nll_loss(*pair) for pair in pairs])
    of_models, of_rows = _gradients_of_means(tuple(map(float, shares)), y.shape[1])
    of_log_p = torch.zeros_like(log_p).scatter_(2, y.unsqueeze(2), of_rows)
    of_outputs = torch.ops.aten._log_softmax_backward_data(of_log_p, log_p, 2, log_p.dtype)
    return StackedLosses(values * of_models, outputs, of_outputs)
