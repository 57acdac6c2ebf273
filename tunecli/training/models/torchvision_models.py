"""Build any classifier of torchvision.models for the pictures and the training settings.

Its pretrained weights are adapted to other channels, picture sizes and classes.
"""

from __future__ import annotations

import pickle
from bisect import bisect_left
from collections.abc import Collection
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from tunecli.errors import TunecliError
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.activation_checkpoints import checkpoint_activations
from tunecli.training.models.blocks import head_layers
from tunecli.training.models.fine_tuning import freeze
from tunecli.training.models.frozen_weights import FrozenWeight, hold_frozen


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
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    settings = {name: getattr(first, name) for name in names}
    has_bias = first.bias is not None
    replacement = nn.Conv2d(n_channels, first.out_channels, bias=has_bias, **settings)
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


_UNUSABLE = (OSError, RuntimeError, EOFError, pickle.UnpicklingError)
"""Errors of torch without a connection, or for a damaged file."""


def load_pretrained(model: nn.Module, name: str, weights: str) -> frozenset[str]:
    """Load pretrained weights into a new classifier, except those of its output layers.

    The first convolution is adapted to the channels, a vision transformer's position embeddings to
    the size of the pictures. Auxiliary heads without pretrained weights stay unchanged.

    Args:
        model: a classifier with its own number of outputs and channels.
        name: name of its builder in torchvision.models.
        weights: `DEFAULT`, or another name in torchvision's enumeration of that model's weights.

    Returns:
        The names of the loaded tensors.

    Raises:
        ValueError: the weights do not exist, or do not fit the model's other arguments.
        TunecliError: the weights are not on this machine and cannot be downloaded.
    """
    source = _pretrained(name, weights)
    state = dict(source.state_dict())
    own = model.state_dict()
    convolution = f"{first_convolution(model)[0]}.weight"
    state[convolution] = for_channels(state[convolution], own[convolution].shape[1])
    _interpolate_positions(model, source, state)
    fresh = tuple(f"{layer}." for layer in head_layers(model))
    state = {key: value for key, value in state.items() if not key.startswith(fresh)}
    state = {key: value for key, value in state.items() if key in own}
    misfit = [key for key, value in state.items() if value.shape != own[key].shape]
    if misfit:
        raise ValueError(
            f"weights: {weights} does not fit {name} with these arguments ({misfit[0]} differs). "
            "Remove the arguments that change its layers, or write `weights: none`."
        )
    model.load_state_dict(state, strict=False)
    if hasattr(source, "transform_input"):  # normalizes three channels in another way
        transforms = source.transform_input and own[convolution].shape[1] == 3
        cast(Any, model).transform_input = transforms
    return frozenset(state)


def hold_pretrained(model: nn.Module, name: str, weights: str, loaded: Collection[str]) -> None:
    """Let frozen pretrained weights be those of the earlier models of this process.

    Args:
        name: name of its builder in torchvision.models.
        weights: name of its pretrained weights.
        loaded: names of the tensors that they gave.
    """
    source = _held(name, weights, torch.hub.get_dir())
    for key, weight in model.named_parameters():
        if key in loaded and not weight.requires_grad:
            source.setdefault(key, FrozenWeight(weight))
    hold_frozen(model, source)


@lru_cache(maxsize=1)
def _held(_name: str, _weights: str, _folder: str) -> dict[str, FrozenWeight]:
    """Return the frozen weights of the newest pretrained model by name, which grow in number."""
    return {}


def _pretrained(name: str, weights: str) -> nn.Module:
    from torchvision import models

    known = models.get_model_weights(name).__members__
    if weights not in known:
        raise ValueError(
            f"weights of {name} must be one of {', '.join(known)}, but got {weights!r}."
        )
    url = known[weights].url
    try:
        return cast(nn.Module, models.get_model(name, weights=known[weights], progress=False))
    except _UNUSABLE as error:
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise TunecliError(
            f"the weights {weights} of {name} could not be downloaded from {url} ({error}). Put "
            f"the file {url.rpartition('/')[2]} into {folder}, or write `weights: none`."
        ) from error


def _interpolate_positions(model: nn.Module, source: nn.Module, state: dict[str, Tensor]) -> None:
    """Interpolate a vision transformer's position embeddings for another picture size."""
    from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

    if isinstance(model, VisionTransformer) and model.image_size != source.image_size:
        adapted = interpolate_embeddings(model.image_size, model.patch_size, cast(Any, state))
        state.update(adapted)


LARGEST_SIDE = 320
"""Pixels; no convolutional model of torchvision needs larger pictures."""

INCEPTION_SIDE = 299
"""Side in pixels of the pictures that Inception v3 was designed for."""

OWN_ARGUMENTS = ("weights", "freeze", "backbone_lr", "layer_decay", "checkpoint_activations")
"""Arguments that tunecli handles itself instead of passing them to torchvision."""


def build_torchvision(component: Component, shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    """Build a classifier for pictures of `shape`, (channels, height, width).

    Args:
        component: the name in torchvision.models, and arguments: torchvision's, and
            `weights`: name of torchvision's pretrained weights, e.g. DEFAULT; none for random
            weights;
            `freeze`: number of leading blocks that are not trained, or `features` for all but the
            head; pretrained weights among them are held once per process (`frozen_weights`);
            `backbone_lr`, `layer_decay`: factors on the learning rate of all but the head
            (`rate_factors`);
            `checkpoint_activations`: recompute activations instead of storing them.

    Raises:
        TunecliError: pretrained weights cannot be downloaded.
        TypeError, ValueError: an argument is invalid for the model.
    """
    name, arguments = component.name, component.arguments
    weights, frozen = arguments.get("weights"), arguments.get("freeze")
    model = _fresh(component, shape, n_outputs)
    loaded = None if weights is None else load_pretrained(model, name, weights)
    if frozen:
        freeze(model, name, frozen)
    if frozen and weights is not None and loaded is not None:
        hold_pretrained(model, name, weights, loaded)
    if arguments.get("checkpoint_activations"):
        checkpoint_activations(model, name)
    return model


def _fresh(component: Component, shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    """Build a classifier with random weights and the right channels and outputs."""
    from torchvision import models

    name = component.name
    if name not in models.list_models(module=models):
        raise ValueError(
            f"{name} is not a known model. Use Linear, MLP, ResNet, CNN or a classifier of "
            "torchvision.models."
        )
    given = {k: value for k, value in component.arguments.items() if k not in OWN_ARGUMENTS}
    arguments = {**_filled_in(name, shape), **given, "num_classes": n_outputs}
    model = cast(nn.Module, models.get_model(name, weights=None, **arguments))
    take_channels(model, shape[0])
    return model


def _filled_in(name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return arguments that follow from the shape of the data."""
    if name == "googlenet":  # torchvision warns without init_weights
        return {"aux_logits": True, "init_weights": True}
    if name == "inception_v3":  # smaller pictures do not reach its auxiliary head
        return {"aux_logits": min(shape[1:]) >= INCEPTION_SIDE, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": shape[1]}
    if name == "maxvit_t":
        return {"input_size": shape[1:]}
    return {}


def smallest_side(component: Component, shape: tuple[int, ...], n_outputs: int) -> int | None:
    """Return the smallest side of square pictures that a model can be trained on, in pixels.

    Sizes are tried on torch's meta device, without any computation.

    Returns:
        None if pictures larger than `shape` fail as well.
    """
    sides = range(min(shape[1:]) + 1, LARGEST_SIDE + 1)
    index = bisect_left(
        sides, True, key=lambda side: _takes(component, (shape[0], side, side), n_outputs)
    )
    return sides[index] if index < len(sides) else None


def _takes(component: Component, shape: tuple[int, ...], n_outputs: int) -> bool:
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            _fresh(component, shape, n_outputs)(torch.empty(2, *shape))
    except (RuntimeError, ValueError, AssertionError):
        return False
    return True
