"""Fold batch norms into the layers before them, so that they need no computation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from tunecli.training.compression.codes import Codes
from tunecli.training.compression.compressible_layers import KINDS, weight_of

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def norm_pairs(model: nn.Module) -> dict[str, str]:
    """Return the batch norms that are the only user of one layer's output: norm → layer, by name.

    The pairs are read from the model's graph. If it cannot be traced (control flow that depends on
    data), they are the neighbours in each `nn.Sequential`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about asserts on shapes in a model's forward
            graph = fx.Tracer().trace(model)
    except Exception:  # a user's model may raise anything at a proxy
        return dict(_neighbours(model))
    return dict(_in_graph(graph, model))


def _in_graph(graph: fx.Graph, model: nn.Module) -> Iterator[tuple[str, str]]:
    modules = dict(model.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    n_calls = {name: sum(node.target == name for node in calls) for name in modules}
    for node in calls:
        norm, source = str(node.target), node.args[0] if node.args else None
        if not isinstance(modules[norm], NORMS) or not isinstance(source, fx.Node):
            continue
        layer = str(source.target)
        once = n_calls[norm] == 1 and n_calls.get(layer) == 1 and len(source.users) == 1
        if source.op == "call_module" and isinstance(modules[layer], KINDS) and once:
            yield norm, layer


def _neighbours(model: nn.Module) -> Iterator[tuple[str, str]]:
    for prefix, module in model.named_modules():
        if isinstance(module, nn.Sequential):
            for (first, layer), (second, norm) in pairwise(module.named_children()):
                if isinstance(norm, NORMS) and isinstance(layer, KINDS):
                    start = f"{prefix}." if prefix else ""
                    yield f"{start}{second}", f"{start}{first}"


@torch.no_grad()
def fuse(model: nn.Module, codes: dict[str, Codes] | None = None) -> list[str]:
    """Fold batch norms into the layers before them, in place; outputs change only by rounding.

    Args:
        model: a model in evaluation mode, where a batch norm is a fixed linear map.
        codes: codes of layers whose weights are shared; the norm is multiplied into their factors.

    Returns:
        Names of the removed norms, for `remove_norms` when the model is built again.
    """
    pairs = {
        norm: layer
        for norm, layer in norm_pairs(model).items()
        if model.get_submodule(norm).running_var is not None
    }
    for norm, layer in pairs.items():
        _fold(model.get_submodule(layer), model.get_submodule(norm))
        if codes is not None and layer in codes:
            codes[layer] = codes[layer].scaled(_factors(model.get_submodule(norm)))
            weight_of(model.get_submodule(layer)).copy_(codes[layer].dense())
    remove_norms(model, list(pairs))
    return list(pairs)


def remove_norms(model: nn.Module, norms: list[str]) -> None:
    """Replace these norms by identities, and give the layer before each a bias."""
    pairs = norm_pairs(model)
    for norm in norms:
        layer = model.get_submodule(pairs[norm])
        if layer.bias is None:
            layer.bias = nn.Parameter(weight_of(layer).new_zeros(len(weight_of(layer))))
    for norm in norms:
        model.set_submodule(norm, nn.Identity())


def _fold(layer: Any, norm: Any) -> None:
    by = fuse_linear_bn_weights if isinstance(layer, nn.Linear) else fuse_conv_bn_weights
    statistics = (norm.running_mean, norm.running_var, norm.eps)
    layer.weight, layer.bias = by(layer.weight, layer.bias, *statistics, norm.weight, norm.bias)


def _factors(norm: Any) -> Tensor:
    """Return γ / √(σ² + ε), (n_out,)."""
    factors = torch.rsqrt(norm.running_var + norm.eps)
    return factors if norm.weight is None else factors * norm.weight
