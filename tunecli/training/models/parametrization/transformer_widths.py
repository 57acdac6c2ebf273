"""The factors of a transformer's parameters, for torch's layers and for GPT-2 of transformers.

The base network has the same number of heads, and a feed-forward width in the same ratio. Two
multipliers of the paper are moved into parameters:

- attention divides by the size of a head, not by its root: queries and keys, and with them values
  in the same tensor, get the root of that factor, and the projection of the values its inverse;
- the output is divided by the width: the last norm gets the factor. So it works if the output
  weights are those of the embedding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, nn

from tunecli.training.models.parametrization.width_factors import (
    WidthFactors,
    bias,
    matrix,
    vector,
)


def transformer_factors(
    network: nn.Module, width: float, start: float = 1.0
) -> dict[Tensor, WidthFactors]:
    """Return the factors of all parameters of a transformer.

    Args:
        network: embeddings, layers and last norm, and the output weights if there are any.
        width: length of a token's vector, as a multiple of that of the base network.
        start: factor on initial weights between layers that gives them the variance 1 / fan_in.
    """
    by_ending = _by_ending(width, start)
    return {
        parameter: next(by_ending[end] for end in by_ending if name.endswith(end))
        for name, parameter in network.named_parameters()
    }


def _by_ending(width: float, start: float) -> Mapping[str, WidthFactors]:
    """Return the factors by the ending of a parameter's name; the first that fits counts."""
    shrink = width**-0.25
    between, beside = matrix(width, width, start), bias(width, width)
    before, behind = between.times(shrink), between.times(1 / shrink)
    last_norm = vector(width).times(1 / width)
    return {
        "self_attn.in_proj_weight": before,
        "attn.c_attn.weight": before,
        "self_attn.in_proj_bias": vector(width).times(shrink),
        "attn.c_attn.bias": vector(width).times(shrink),
        "self_attn.out_proj.weight": behind,
        "attn.c_proj.weight": behind,
        **dict.fromkeys(("linear1.weight", "linear2.weight"), between),
        **dict.fromkeys(("mlp.c_fc.weight", "mlp.c_proj.weight"), between),
        **dict.fromkeys(("linear1.bias", "linear2.bias"), beside),
        **dict.fromkeys(("ln_f.weight", "ln_f.bias"), last_norm),
        **dict.fromkeys(("norm.weight", "norm.bias"), last_norm),
        "": vector(width),  # embeddings, other norms, biases that start at 0
    }


def head_factors(head: nn.Linear, n_text: int, width: float) -> dict[Tensor, WidthFactors]:
    """Return the factors of a linear layer on encoded text and other features.

    Torch draws its initial weights with the variance 1 / fan_in; here, they keep that of the base
    network, since the last norm of the text divides by the width.

    Args:
        n_text: number of inputs from the text; the others do not grow.
        width: `n_text` as a multiple of that of the base network.
    """
    n_others = head.in_features - n_text
    start = math.sqrt(head.in_features / (n_text / width + n_others))
    weight = WidthFactors(start, 1.0, None if n_others and width != 1 else width)
    return {head.weight: weight, head.bias: WidthFactors(start)}
