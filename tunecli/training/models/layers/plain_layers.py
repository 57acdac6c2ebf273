"""Layers of tunecli's own models, and checks of their arguments."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn.modules import activation as activations


class Residual(nn.Module):
    """Adds the input of some layers to their output."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.layers(x))


def activation_layer(name: str) -> nn.Module:
    """Return an elementwise activation by the name of its class in torch.nn."""
    if name not in activations.__all__:
        rule = "activation must be an activation of torch.nn such as ReLU"
        raise ValueError(f"{rule}, but got {name!r}.")
    return cast(nn.Module, getattr(nn, name)())


def check_at_least_one(**values: int) -> None:
    """Refuse counts below 1; the message uses their names."""
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, but got {value}.")


def check_dropout(**values: float) -> None:
    """Refuse probabilities outside [0, 1); the message uses their names."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, but got {value}.")
