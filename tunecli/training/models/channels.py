"""Adapt the first convolution of a model to the channels of the pictures."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


def first_convolution(model: nn.Module) -> tuple[str, nn.Conv2d]:
    """Return the name and the module of a model's first convolution."""
    return next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))


def take_channels(model: nn.Module, n_channels: int) -> None:
    """Replace the first convolution, in place, if pictures have another number of channels.

    Some of torchvision's models refuse an argument for it, others ignore it silently. Settings and
    bias are kept; new weights have the standard deviation of the old ones.
    """
    name, first = first_convolution(model)
    if first.in_channels == n_channels:
        return
    replacement = nn.Conv2d(
        n_channels,
        first.out_channels,
        kernel_size=cast(tuple[int, int], first.kernel_size),
        stride=cast(tuple[int, int], first.stride),
        padding=cast(tuple[int, int], first.padding),
        dilation=cast(tuple[int, int], first.dilation),
        bias=first.bias is not None,
        padding_mode=first.padding_mode,
    )
    with torch.no_grad():
        nn.init.normal_(replacement.weight).mul_(first.weight.std())
        if first.bias is not None and replacement.bias is not None:
            replacement.bias.copy_(first.bias)
    model.set_submodule(name, replacement)


def for_channels(weight: Tensor, n_channels: int) -> Tensor:
    """Adapt the weight (n_out, n_in, height, width) of a convolution to other channels.

    Each channel gets the sum over the old channels divided by the new number, so that a grey
    picture gives the same result in one channel as in three.
    """
    if weight.shape[1] == n_channels:
        return weight
    return weight.sum(1, keepdim=True).div(n_channels).expand(-1, n_channels, -1, -1)
