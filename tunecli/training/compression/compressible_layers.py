"""The layers of a model whose weights can be compressed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tunecli.training.models.frozen_weights import release_frozen

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def weighted_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers whose weights can be compressed, by name, in the order of the model.

    The first axis of a weight holds its output channels. A layer that occurs twice in a model is
    listed once.
    """
    return {name: module for name, module in model.named_modules() if isinstance(module, KINDS)}


def weight_of(layer: nn.Module) -> Tensor:
    """Return a layer's weight (n_out, …), as the forward pass uses it."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


@torch.enable_grad()  # else a weight made of several tensors would not become a parameter
def make_plain(model: nn.Module) -> None:
    """Replace parametrized tensors (weight norm, a mask) by plain ones of the same values.

    Frozen weights that the model shares become its own, so that steps may write to all weights.
    """
    release_frozen(model)
    for module in model.modules():
        if parametrize.is_parametrized(module):
            kind = type(module)  # copies of a module share it, and removing changes it
            module.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def per_channel(values: Tensor, weight: Tensor) -> Tensor:
    """Reshape `values` (n_out,) to multiply a weight (n_out, …) channel by channel."""
    return values.reshape(-1, *[1] * (weight.ndim - 1))
