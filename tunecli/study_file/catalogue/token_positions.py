"""Find how many tokens a model of transformers can read at once, without importing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tunecli.study_file.catalogue.architectures import (
    AUTO_MODELS,
    architecture,
    model_types,
    transformers_is_installed,
)
from tunecli.study_file.settings.settings import Component

_NAMES = ("max_position_embeddings", "n_positions")
"""What configurations call the number of positions."""


def most_tokens(model: Component, config_of: Callable[[str], Mapping[str, object]]) -> int | None:
    """Return the largest number of tokens per row, as the configuration of a model gives it.

    Args:
        model: a component of the study file.
        config_of: returns the content of a pretrained model's `config.json`; empty if unknown.

    Returns:
        None for other models, for those without a limit, and if the configuration is unknown.
    """
    if model.name not in AUTO_MODELS or not transformers_is_installed():
        return None
    pretrained, given = model.arguments.get("pretrained"), model.arguments
    content = config_of(pretrained) if isinstance(pretrained, str) else given
    model_type = content.get("model_type", content.get("config"))
    if model_type not in model_types(model.name):
        return None
    defaults = {one.name: one.default for one in architecture(str(model_type)).arguments}
    found = [content.get(name, defaults.get(name)) for name in _NAMES]
    return next((n for n in found if isinstance(n, int) and n > 0), None)


def n_virtual_tokens(adapter: object) -> int:
    """Return the number of trained tokens before each row; 0 for adapters without such tokens."""
    given = adapter.arguments.get("num_virtual_tokens") if isinstance(adapter, Component) else None
    return given if isinstance(given, int) else 0


def too_long(setting: str, n_tokens: int, most: int, n_virtual: int) -> str | None:
    """Return the message for rows of more tokens than a model has positions for, if they are.

    Args:
        setting: the setting of their length.
        most: number of positions.
        n_virtual: number of virtual tokens before each row.
    """
    if n_tokens + n_virtual <= most:
        return None
    virtual = f", {n_virtual} of them for virtual tokens" if n_virtual else ""
    return (
        f"{setting} must be at most {most - n_virtual}, since this model has {most} positions"
        f"{virtual}, but got {n_tokens}."
    )
