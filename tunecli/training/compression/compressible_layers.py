"""The layers of a model whose weights can be compressed."""

from __future__ import annotations

import sys
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tunecli.data.rows.dataset import TokenForm
from tunecli.training.models.frozen_weights import release_frozen

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


Axis = Literal[0, 1]
"""The axis of a weight that holds the output channels."""


def _kinds_in(model: nn.Module) -> tuple[type[nn.Module], ...]:
    """Return the kinds of layers that can be compressed: in models of tokens, embeddings too."""
    ensembles = _ensemble_kinds()
    embeddings = (nn.Embedding, nn.EmbeddingBag) if takes_tokens(model) else ()
    transposed = _transposed_kinds() if takes_tokens(model) else ()
    return (*KINDS, *ensembles, *embeddings, *transposed)


def takes_tokens(model: nn.Module) -> bool:
    """Return whether a model takes rows of tokens."""
    return isinstance(getattr(model, "tokens", None), TokenForm)


def _transposed_kinds() -> tuple[type[nn.Module], ...]:
    """Return the linear layer of GPT-2, whose weight is transposed; without importing it."""
    library = sys.modules.get("transformers.pytorch_utils")
    return () if library is None else (library.Conv1D,)


def _ensemble_kinds() -> tuple[type[nn.Module], ...]:
    """Return the linear layers of TabM; the weights of its last one are (k, n_in, n_out)."""
    library = sys.modules.get("tabm")
    return () if library is None else (library.LinearBatchEnsemble, library.LinearEnsemble)


def channel_axis(layer: nn.Module) -> Axis:
    """Return the axis of a layer's weight that holds its output channels."""
    return 1 if isinstance(layer, _transposed_kinds()) else 0


def weighted_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers whose weights can be compressed, by name, in the order of the model.

    A layer that occurs twice in a model is listed once.
    """
    kinds = _kinds_in(model)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def weight_of(layer: nn.Module) -> Tensor:
    """Return a layer's weight, as the forward pass uses it; see `channel_axis`."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


@torch.enable_grad()  # else a weight made of several tensors would not become a parameter
def make_plain(model: nn.Module) -> None:
    """Replace parametrized tensors (weight norm, a mask) by plain ones of the same values.

    Frozen weights that the model shares become its own, so that steps may write to all weights.
    In models of tokens, layers with one common weight get a weight each.
    """
    release_frozen(model)
    if takes_tokens(model):
        _untie(model)
    for module in model.modules():
        if "parametrizations" in module._modules:  # peft's wrappers pass on what is inside them
            kind = type(module)  # copies of a module share it, and removing changes it
            module.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _untie(model: nn.Module) -> None:
    """Give a copy of its weight to each layer that shares it with an earlier one, in place."""
    seen: set[int] = set()
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if id(weight) in seen:
                copy = nn.Parameter(weight.detach().clone(), weight.requires_grad)
                setattr(module, name, copy)
            seen.add(id(weight))


def per_channel(values: Tensor, weight: Tensor, axis: int = 0) -> Tensor:
    """Reshape `values` (n_out,) to multiply a weight channel by channel.

    Args:
        axis: axis of the weight that holds the output channels.
    """
    shape = [1] * weight.ndim
    shape[axis] = -1
    return values.reshape(shape)
