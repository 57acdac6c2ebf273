"""Build any classifier of torchvision.models for the pictures and the training settings."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, cast

import torch
from torch import nn

from tunecli.study_file.settings.settings import Component
from tunecli.training.models.activation_checkpoints import checkpoint_activations
from tunecli.training.models.channels import take_channels
from tunecli.training.models.fine_tuning import freeze
from tunecli.training.models.pretrained import load_pretrained

LARGEST_SIDE = 320
"""Pixels; no convolutional model of torchvision needs larger pictures."""

INCEPTION_SIDE = 299
"""Side in pixels of the pictures that Inception v3 was designed for."""

OWN_ARGUMENTS = ("weights", "freeze", "backbone_lr", "checkpoint_activations")
"""Arguments that tunecli handles itself instead of passing them to torchvision."""


def build_torchvision(component: Component, shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    """Build a classifier for pictures of `shape`, (channels, height, width).

    Args:
        component: the name in torchvision.models, and arguments: torchvision's, and
            `weights`: name of torchvision's pretrained weights, e.g. DEFAULT; none for random
            weights;
            `freeze`: number of leading blocks that are not trained, or `features` for all but the
            head;
            `backbone_lr`: factor on the learning rate of all but the head (`rate_factors`);
            `checkpoint_activations`: recompute activations instead of storing them.

    Raises:
        TunecliError: pretrained weights cannot be downloaded.
        TypeError, ValueError: an argument is invalid for the model.
    """
    name, arguments = component.name, component.arguments
    model = _fresh(component, shape, n_outputs)
    if arguments.get("weights") is not None:
        load_pretrained(model, name, arguments["weights"])
    if arguments.get("freeze"):
        freeze(model, name, arguments["freeze"])
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
