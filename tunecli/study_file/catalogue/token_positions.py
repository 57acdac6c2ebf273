"""Find how many tokens a model of transformers can read at once, without importing it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tunecli.study_file.catalogue.architectures import (
    AUTO_MODELS,
    config_fields,
    model_types,
    network_source,
    transformers_is_installed,
)
from tunecli.study_file.settings.settings import Component

_NAMES = ("max_position_embeddings", "n_positions")
"""What configurations call the number of positions."""
_NUMBERED_FROM_PADDING = re.compile(
    r"self\.position_embeddings = nn\.Embedding\([^)]*padding_idx=self\.padding_idx"
)
"""How RoBERTa and its like number positions: from the one behind the padding token's."""
_PADDING = re.compile(r"self\.padding_idx = (\d+|config\.pad_token_id)")


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
    pretrained = model.arguments.get("pretrained")
    content: Mapping[str, object] = {"pad_token_id": 0, **model.arguments}
    if isinstance(pretrained, str):
        content = config_of(pretrained)
    model_type = content.get("model_type", content.get("config"))
    if model_type not in model_types(model.name):
        return None
    return n_token_positions(str(model_type), content)


def n_token_positions(model_type: str, content: Mapping[str, object]) -> int | None:
    """Return the number of tokens that an architecture has positions for; None for any number.

    Args:
        content: of its configuration; what it lacks has the default of the configuration class.
    """
    defaults = {one.name: one.default for one in config_fields(model_type).arguments}
    config = {**defaults, **content}
    found = [config.get(name) for name in _NAMES]
    most = next((n for n in found if isinstance(n, int) and n > 0), None)
    return None if most is None else most - _n_reserved(network_source(model_type), config)


def _n_reserved(source: str, config: Mapping[str, object]) -> int:
    """Return the number of positions that no token of a row has: up to the padding's own."""
    is_learned = config.get("position_embedding_type", "absolute") == "absolute"
    if not is_learned or not _NUMBERED_FROM_PADDING.search(source):
        return 0
    given = next(iter(_PADDING.findall(source)), "")
    padding = int(given) if given.isdecimal() else config.get("pad_token_id")
    return padding + 1 if isinstance(padding, int) else 0


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
