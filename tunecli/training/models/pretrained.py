"""Weights that torchvision's classifiers were trained to, for other pictures and classes."""

from __future__ import annotations

import pickle
from typing import Any, cast

import torch
from torch import Tensor, nn

from tunecli.errors import TunecliError
from tunecli.training.models.blocks import head_layers
from tunecli.training.models.channels import first_convolution, for_channels

_UNUSABLE = (OSError, RuntimeError, EOFError, pickle.UnpicklingError)
"""What torch raises where there is no connection, or a file that is not what it should be."""


def load_pretrained(model: nn.Module, name: str, weights: str) -> None:
    """Give a fresh classifier the weights of a pretrained one, all but those of its outputs.

    The first convolution is adapted to the channels, a vision transformer's positions to the size
    of the pictures. Auxiliary heads that were not trained stay as they are.

    Args:
        model: with its own number of outputs and channels.
        name: of its builder in torchvision.models.
        weights: `DEFAULT`, or another name in torchvision's enumeration of that model's weights.

    Raises:
        ValueError: there are no such weights, or they do not fit the model's other arguments.
        TunecliError: they are not here and cannot be downloaded.
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
            "Leave out the arguments that change its layers, or write `weights: none`."
        )
    model.load_state_dict(state, strict=False)
    if hasattr(source, "transform_input"):  # another normalization, of three channels
        transforms = source.transform_input and own[convolution].shape[1] == 3
        cast(Any, model).transform_input = transforms


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
            f"the weights {weights} of {name} could not be fetched from {url} ({error}). Put the "
            f"file {url.rpartition('/')[2]} into {folder}, or write `weights: none`."
        ) from error


def _interpolate_positions(model: nn.Module, source: nn.Module, state: dict[str, Tensor]) -> None:
    """Spread a vision transformer's positions over pictures of another size."""
    from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

    if isinstance(model, VisionTransformer) and model.image_size != source.image_size:
        adapted = interpolate_embeddings(model.image_size, model.patch_size, cast(Any, state))
        state.update(adapted)
