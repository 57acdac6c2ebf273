"""Merge an adapter into the weights that it adapts, so that it needs no computation."""

from __future__ import annotations

from torch import nn

from tunecli.errors import DataError
from tunecli.training.models.auto_models import TransformersModel


def can_be_merged(model: nn.Module) -> bool:
    """Return whether a model has an adapter that is a change of weights."""
    has_adapter = isinstance(model, TransformersModel) and model.adapter is not None
    return has_adapter and hasattr(model.network, "merge_and_unload")


def merge_adapter(model: nn.Module) -> None:
    """Add a model's adapter to its weights, in place; outputs change only by rounding.

    The model must share no weights (`compressible_layers.make_plain`).

    Raises:
        DataError: it has no adapter, or one that is not a change of weights.
    """
    if not can_be_merged(model):
        message = (
            "only an adapter that changes weights, such as LoraConfig, can be merged. Remove this "
            "setting."
        )
        raise DataError(message, "compression.merge")
    assert isinstance(model, TransformersModel)
    model.merge_adapter()
