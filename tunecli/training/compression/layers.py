"""Which weights of a model can be compressed."""

from __future__ import annotations

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


def settle(model: nn.Module) -> None:
    """Make plain weights of those that were parametrized: what they are now is what they stay."""
    for layer in weighted_layers(model).values():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def per_channel(values: Tensor, weight: Tensor) -> Tensor:
    """`values` (n_out,), shaped to multiply a weight (n_out, …) channel by channel."""
    return values.reshape(-1, *[1] * (weight.ndim - 1))
