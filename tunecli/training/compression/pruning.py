"""Prune the smallest single weights with masks that fine-tuning respects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tunecli.training.compression.compressible_layers import weight_of, weighted_layers

LEAST_SHARE = 0.02
"""Smallest share of weights that every layer keeps: a layer without weights passes nothing on."""


class Masked(nn.Module):
    """Keeps a weight at zero where its mask is False, whatever the optimizer does."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return torch.where(self.mask, weight, 0.0)  # a product would leave negative zeros

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the tensor that `forward` maps to this weight, if its masked entries are zero."""
        return weight


def prune(model: nn.Module, amount: float, scope: Literal["global", "layer"] = "global") -> None:
    """Prune the weights of the smallest magnitude; biases and norms are kept.

    Han et al. (2015), "Learning both Weights and Connections", arXiv:1506.02626. Fine-tuning
    keeps the zeros; `compressible_layers.make_plain` makes the weights plain tensors again.

    Args:
        amount: share of the weights to prune. Range [0, 1).
        scope: `global` compares the weights of all layers, `layer` those within one.
    """
    layers = weighted_layers(model)
    weights = {name: weight_of(layer).detach() for name, layer in layers.items()}
    for name, mask in _masks(weights, amount, scope).items():
        parametrize.register_parametrization(layers[name], "weight", Masked(mask))


def _masks(weights: Mapping[str, Tensor], amount: float, scope: str) -> dict[str, Tensor]:
    """Return a mask per layer: True for the weights to keep."""
    if scope == "layer":
        return {
            name: _largest(weight, round(amount * weight.numel()))
            for name, weight in weights.items()
        }
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights.values()])
    mask = _largest(magnitudes, round(amount * len(magnitudes)))
    parts = torch.split(mask, [weight.numel() for weight in weights.values()])
    masks = {}
    for (name, weight), part in zip(weights.items(), parts, strict=True):
        n_least = max(1, round(LEAST_SHARE * weight.numel()))
        n_pruned = min(int((~part).sum()), weight.numel() - n_least)
        masks[name] = _largest(weight, n_pruned)
    return masks


def _largest(weight: Tensor, n_pruned: int) -> Tensor:
    """Return a mask: False for the `n_pruned` smallest magnitudes, earlier ones first on ties."""
    order = torch.argsort(weight.abs().flatten(), stable=True)
    mask = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[order[:n_pruned]] = False
    return mask.reshape(weight.shape)
