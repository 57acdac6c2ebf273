"""Every classifier of torchvision.models, fitted to the pictures and to how it is trained."""

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
"""No convolutional model of torchvision needs larger pictures."""

INCEPTION_SIDE = 299
"""Of the pictures that Inception v3 was made for."""

OWN_ARGUMENTS = ("weights", "freeze", "backbone_lr", "checkpoint_activations")
"""What tunecli reads in place of torchvision."""


def build_torchvision(component: Component, shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    """A classifier for pictures of `shape`, (channels, height, width).

    Args:
        component: its name in torchvision.models, and arguments: torchvision's, and
            `weights`: of torchvision's pretrained ones, e.g. DEFAULT; none for random ones;
            `freeze`: leading blocks that are not trained, or `features` for all but the head;
            `backbone_lr`: factor on the learning rate of all but the head (`rate_factors`);
            `checkpoint_activations`: recompute activations in place of keeping them.

    Raises:
        TunecliError: pretrained weights that cannot be fetched.
        TypeError, ValueError: an argument is not what the model takes.
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
    """With random weights, for the right channels and outputs."""
    from torchvision import models

    name = component.name
    if name not in models.list_models(module=models):
        raise ValueError(
            f"{name} is neither Linear, MLP, ResNet, CNN nor a classifier of torchvision.models."
        )
    given = {k: value for k, value in component.arguments.items() if k not in OWN_ARGUMENTS}
    arguments = {**_filled_in(name, shape), **given, "num_classes": n_outputs}
    model = cast(nn.Module, models.get_model(name, weights=None, **arguments))
    take_channels(model, shape[0])
    return model


def _filled_in(name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """What torchvision cannot know of the data."""
    if name == "googlenet":  # leaving init_weights open warns
        return {"aux_logits": True, "init_weights": True}
    if name == "inception_v3":  # smaller pictures end before its auxiliary head
        return {"aux_logits": min(shape[1:]) >= INCEPTION_SIDE, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": shape[1]}
    if name == "maxvit_t":
        return {"input_size": shape[1:]}
    return {}


def smallest_side(component: Component, shape: tuple[int, ...], n_outputs: int) -> int | None:
    """Fewest pixels of square pictures that go through a model's layers in training.

    Shapes are tried without computing anything, on torch's meta device.

    Returns:
        None where pictures larger than `shape` do not go through either.
    """
    sides = range(min(shape[1:]) + 1, LARGEST_SIDE + 1)
    found = bisect_left(
        sides, True, key=lambda side: _takes(component, (shape[0], side, side), n_outputs)
    )
    return sides[found] if found < len(sides) else None


def _takes(component: Component, shape: tuple[int, ...], n_outputs: int) -> bool:
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            _fresh(component, shape, n_outputs)(torch.empty(2, *shape))
    except (RuntimeError, ValueError, AssertionError):
        return False
    return True
