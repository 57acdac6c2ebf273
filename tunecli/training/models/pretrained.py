"""Load torchvision's pretrained weights into classifiers for other pictures and classes."""

from __future__ import annotations

import pickle
from typing import Any, cast

import torch
from torch import Tensor, nn

from tunecli.errors import TunecliError
from tunecli.training.models.blocks import head_layers
from tunecli.training.models.channels import first_convolution, for_channels

_UNUSABLE = (OSError, RuntimeError, EOFError, pickle.UnpicklingError)
"""Errors of torch without a connection, or for a damaged file."""


def load_pretrained(model: nn.Module, name: str, weights: str) -> None:
    """Load pretrained weights into a new classifier, except those of its output layers.

    The first convolution is adapted to the channels, a vision transformer's position embeddings to
    the size of the pictures. Auxiliary heads without pretrained weights stay unchanged.

    Args:
        model: a classifier with its own number of outputs and channels.
        name: name of its builder in torchvision.models.
        weights: `DEFAULT`, or another name in torchvision's enumeration of that model's weights.

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
