"""Factors on the initial values and the learning rates of a network's parameters, by its width.

Yang et al. (2022), "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter
Transfer", arXiv:2203.03466, tables 3 and 8. Sizes count as multiples of those of a base network,
whose factors are all 1. The multipliers that the paper puts into the forward pass are moved into
initial values and learning rates (its lemma J.1), so that the network itself stays the usual one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tunecli.study_file.catalogue.parametrizations import SGD_LIKE
from tunecli.study_file.settings.settings import Component


class WidthFactors(NamedTuple):
    """The factors of one parameter.

    Attributes:
        start: factor on its initial values.
        adam: factor on its learning rate, for Adam and others with steps of the same size for
            gradients of any scale.
        sgd: factor on its learning rate for SGD; None if its entries would need different ones.
    """

    start: float = 1.0
    adam: float = 1.0
    sgd: float | None = 1.0

    def times(self, multiplier: float) -> WidthFactors:
        """Return the factors of a parameter that holds its product with a multiplier."""
        sgd = None if self.sgd is None else self.sgd * multiplier**2
        return WidthFactors(self.start * multiplier, self.adam * multiplier, sgd)


class WidthScaled(nn.Module):
    """A model whose initial weights and learning rates can follow its width.

    Attributes:
        width_factors: factors by name of the parameter; empty for the standard parametrization.
        rate_factors: further factors on the learning rate by name of the parameter; the weight
            decay changes with them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.width_factors: dict[str, WidthFactors] = {}
        self.rate_factors: dict[str, float] = {}

    @torch.no_grad()
    def scale_by_width(self, factors: Mapping[Tensor, WidthFactors]) -> None:
        """Multiply initial values by their factors, and keep the factors for the optimizer."""
        for parameter, factor in factors.items():
            parameter.mul_(factor.start)
        named = self.named_parameters()
        self.width_factors = {name: factors[one] for name, one in named if one in factors}


def vector(width: float, start: float = 1.0) -> WidthFactors:
    """Return the factors of a parameter with one dimension that grows: bias, norm, embedding."""
    return WidthFactors(start, 1.0, width)


def matrix(fan_in: float, fan_out: float, start: float = 1.0) -> WidthFactors:
    """Return the factors of the weights between two layers.

    Args:
        start: 1 if initial weights have the variance 1 / fan_in already.
    """
    return WidthFactors(start, 1 / fan_in, fan_out / fan_in)


def bias(fan_in: float, fan_out: float) -> WidthFactors:
    """Return the factors of a layer's bias, which torch draws with the variance 1 / fan_in."""
    return vector(fan_out, math.sqrt(fan_in))


def mlp_factors(hidden: nn.Module, head: nn.Linear, base_width: int) -> dict[Tensor, WidthFactors]:
    """Return the factors of a chain of linear layers and norms, and of the head behind it."""
    factors: dict[Tensor, WidthFactors] = {}
    fan_in = 1.0  # the number of features does not grow
    for layer in hidden.modules():
        if isinstance(layer, nn.Linear):
            fan_out = layer.out_features / base_width
            factors[layer.weight] = matrix(fan_in, fan_out)
            if layer.bias is not None:
                factors[layer.bias] = bias(fan_in, fan_out)
            fan_in = fan_out
        elif isinstance(layer, nn.BatchNorm1d):
            factors |= {parameter: vector(fan_in) for parameter in layer.parameters()}
    output = WidthFactors(math.sqrt(fan_in), 1.0, fan_in).times(1 / fan_in)
    return {**factors, head.weight: output, head.bias: bias(fan_in, 1.0)}


def neural_tangent_factors(model: nn.Module) -> dict[str, WidthFactors]:
    """Return the factors of linear layers in the neural tangent parametrization, by name.

    There, a layer multiplies its weights by 1 / √n_in. Jacot et al. (2018), arXiv:1806.07572.
    """
    return {
        f"{name}.weight": WidthFactors(1.0).times(1 / math.sqrt(layer.in_features))
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear)
    }


def own_rates(model: nn.Module) -> dict[Tensor, float]:
    """Return the factors of `WidthScaled.rate_factors` by parameter, of those that are not 1."""
    if not isinstance(model, WidthScaled):
        return {}
    factors = model.rate_factors
    named = ((factors.get(_plain(name), 1.0), one) for name, one in model.named_parameters())
    return {parameter: factor for factor, parameter in named if factor != 1}


def width_rates(optimizer: Component, model: nn.Module) -> dict[Tensor, float]:
    """Return the factors on the learning rate by parameter; empty if all are 1.

    Weights that compression prunes or shares keep their factors.

    Raises:
        ValueError: the optimizer would need several factors for one parameter.
    """
    if not isinstance(model, WidthScaled):
        return {}
    rates: dict[Tensor, float] = {}
    for name, parameter in model.named_parameters():
        factors = model.width_factors.get(_plain(name), WidthFactors())
        rate = factors.sgd if optimizer.name in SGD_LIKE else factors.adam
        if rate is None:
            raise ValueError(
                f"with parametrization: mup, {optimizer.name} has no learning rate for a head on "
                "text and other columns. Use AdamW, or leave the other columns out."
            )
        rates[parameter] = rate
    return {} if all(rate == 1 for rate in rates.values()) else rates


def _plain(name: str) -> str:
    """Return the name of a parameter without the parts that torch's parametrizations add."""
    return name.replace("parametrizations.", "").removesuffix(".original")
