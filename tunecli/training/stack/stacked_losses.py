"""Compute the losses of several models from their stacked outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunecli.training.step.batches import Batch
from tunecli.training.step.gradient_step import GradientStep
from tunecli.training.step.losses import Loss


def stacked_losses(
    steps: Sequence[GradientStep], outputs: Tensor, batches: Sequence[Batch]
) -> Tensor:
    """Return the mean loss of each model's batch, (n_models,), differentiable.

    Args:
        outputs: (n_models, n_rows, n_outputs).
    """
    if _is_plain(steps[0].loss) and batches[0].other is None and batches[0].weights is None:
        y = torch.stack([batch.y for batch in batches])
        return cast(Tensor, _CrossEntropies.apply(outputs, y))  # type: ignore[no-untyped-call]
    parts = zip(steps, outputs.unbind(0), batches, strict=True)
    return torch.stack([step.loss_of(of_batch, batch) for step, of_batch, batch in parts])


def _is_plain(loss: Loss) -> bool:
    """Return whether a loss is the cross-entropy without class weights or smoothing."""
    module = loss.module
    return (
        isinstance(module, nn.CrossEntropyLoss)
        and module.weight is None
        and (module.reduction, module.label_smoothing, module.ignore_index) == ("mean", 0.0, -100)
    )


class _CrossEntropies(torch.autograd.Function):
    """Mean cross-entropies; only the sums over rows are computed model by model."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, y: Tensor) -> Tensor:
        log_p = torch.log_softmax(outputs, 2)
        ctx.save_for_backward(log_p, y)
        pairs = zip(log_p.unbind(0), y.unbind(0), strict=True)
        return torch.stack([functional.nll_loss(*pair) for pair in pairs])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        log_p, y = ctx.saved_tensors
        n_rows = log_p.shape[1]
        of_rows = (gradient / n_rows).neg_().view(-1, 1, 1).expand(-1, n_rows, 1)
        of_log_p = torch.zeros_like(log_p).scatter_(2, y.unsqueeze(2), of_rows)
        dtype = log_p.dtype
        return torch.ops.aten._log_softmax_backward_data(of_log_p, log_p, 2, dtype), None
