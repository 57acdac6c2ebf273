"""Recompute activations in the backward pass instead of storing them: less memory, more time.

Chen et al. (2016), "Training Deep Nets with Sublinear Memory Cost". The bits are those of a plain
training: torch replays the random numbers (dropout), and batch norms count each batch once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from tunecli.training.models.blocks import backbone_blocks, containers


def checkpoint_activations(model: nn.Module, name: str) -> None:
    """Let the blocks of a model recompute their activations for the backward pass.

    Args:
        name: name of the model, for messages.

    Raises:
        ValueError: the model cannot be divided into blocks.
    """
    modules = [module for block in backbone_blocks(model) for module in block]
    parts = [module for module in modules if any(True for _ in module.children())]
    chains = [c for c in containers(model) if isinstance(c, nn.Sequential)]
    if not parts and not chains:
        raise ValueError(f"checkpoint_activations: {name} has no blocks to recompute.")
    for part in parts:
        _replace_forward(part, partial(_recomputed, [part], part.forward))
    if not parts:  # VGG, AlexNet: plain layers, divided at pooling layers
        for chain in chains:
            _replace_forward(chain, partial(_in_segments, _segments(chain)))


def _replace_forward(module: nn.Module, forward: Any) -> None:
    """Replace `forward` of this module alone; state-dict names stay, and copies keep it."""
    module.forward = forward


def _segments(chain: nn.Sequential) -> list[list[nn.Module]]:
    """Divide the layers of a chain after each pooling layer."""
    segments: list[list[nn.Module]] = [[]]
    for layer in chain:
        segments[-1].append(layer)
        if isinstance(layer, nn.MaxPool2d):
            segments.append([])
    return [segment for segment in segments if segment]


def _in_segments(segments: Sequence[Sequence[nn.Module]], x: Tensor) -> Tensor:
    for segment in segments:
        x = _recomputed(segment, partial(_through, segment), x)
    return x


def _through(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def _recomputed(modules: Sequence[nn.Module], forward: Any, x: Tensor) -> Tensor:
    """Return `forward(x)`, storing only `x` for the backward pass."""
    if not torch.is_grad_enabled():
        return cast(Tensor, forward(x))
    return cast(
        Tensor,
        checkpoint(
            forward,
            x,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), _uncounted(modules)),  # of both computations
        ),
    )


@contextmanager
def _uncounted(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Let batch norms update copies of their running statistics, which are then discarded."""
    norms = [n for module in modules for n in module.modules() if isinstance(n, _BatchNorm)]
    counted = [(norm, *named) for norm in norms for named in norm.named_buffers()]
    for norm, name, buffer in counted:
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in counted:
            setattr(norm, name, buffer)
