"""Which weights of a model can be compressed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def weighted_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers whose weights count, by name, in the order of the model.

    The first axis of a weight are its output channels. A layer that stands twice in a model counts
    once.
    """
    return {name: module for name, module in model.named_modules() if isinstance(module, KINDS)}


def weight_of(layer: nn.Module) -> Tensor:
    """A layer's weight (n_out, …), as the forward pass uses it."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


@torch.enable_grad()  # or what is made of several tensors would become no parameter
def make_plain(model: nn.Module) -> None:
    """Make plain tensors of those that are parametrized, as by weight norm or a mask.

    What they are now is what they stay.
    """
    for module in model.modules():
        if parametrize.is_parametrized(module):
            kind = type(module)  # copies of a module share it, and removing changes it
            module.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def per_channel(values: Tensor, weight: Tensor) -> Tensor:
    """`values` (n_out,), shaped to multiply a weight (n_out, …) channel by channel."""
    return values.reshape(-1, *[1] * (weight.ndim - 1))
