"""Make the configuration of a model of transformers from a folder, a name, or its stored form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunecli.data.rows.dataset import TokenForm
from tunecli.study_file.catalogue.pretrained_folders import read_model_config

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_NEVER_READ = ("attn_implementation", "_attn_implementation", "auto_map", "quantization_config")
"""Keys of `config.json` that could fetch code, or store weights in another form."""


@dataclass(frozen=True)
class Dropouts:
    """Probabilities that replace those of a configuration; None keeps them.

    Attributes:
        other: that of embeddings, hidden layers and the head.
        attention: that of attention weights.
    """

    other: float | None = None
    attention: float | None = None

    def arguments_for(self, config: PreTrainedConfig) -> dict[str, float]:
        """Return the arguments of a configuration class that these probabilities replace."""
        names = [name for name, value in config.to_dict().items() if _is_dropout(name, value)]
        new = {name: self.attention if "att" in name else self.other for name in names}
        return {name: value for name, value in new.items() if value is not None}


def _is_dropout(name: str, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and ("dropout" in name or name.endswith("pdrop"))


def stored_config(text: str) -> PreTrainedConfig:
    """Return the configuration that a model folder stores."""
    return _from_content(json.loads(text))


def folder_config(
    folder: Path, tokens: TokenForm, n_outputs: int, dropouts: Dropouts
) -> PreTrainedConfig:
    """Return the configuration of a pretrained model, for the study's outputs.

    Raises:
        DataError: `config.json` cannot be read.
        ValueError: transformers does not know the architecture, or the tokenizer does not fit.
    """
    content = read_model_config(folder)
    n_known = content.get("vocab_size", tokens.vocab_size)
    if n_known < tokens.vocab_size:
        raise ValueError(
            f"the tokenizer of {folder} has {tokens.vocab_size:,} tokens, but its model knows "
            f"only {n_known:,}. Save the tokenizer that belongs to the model in this folder."
        )
    replaced = dropouts.arguments_for(_from_content(content))
    return _from_content({**content, **replaced, "pad_token_id": tokens.pad}, n_outputs)


def new_config(
    model_type: str,
    arguments: Mapping[str, Any],
    tokens: TokenForm,
    n_outputs: int,
    dropouts: Dropouts,
) -> PreTrainedConfig:
    """Return the configuration of a new model, for the vocabulary of its tokenizer.

    Raises:
        ValueError, TypeError: an argument is invalid for the architecture.
    """
    replaced = dropouts.arguments_for(_from_content({"model_type": model_type}))
    of_tokens = {"vocab_size": tokens.vocab_size, "pad_token_id": tokens.pad}
    without = {"bos_token_id": None, "eos_token_id": None}
    content = {"model_type": model_type, **replaced, **without, **of_tokens, **arguments}
    return _from_content(content, n_outputs)


def _from_content(content: Mapping[str, Any], n_outputs: int | None = None) -> PreTrainedConfig:
    from transformers import CONFIG_MAPPING

    kept = {name: value for name, value in content.items() if name not in _NEVER_READ}
    model_type = kept["model_type"]
    if model_type not in CONFIG_MAPPING:
        raise ValueError(f"this version of transformers has no architecture {model_type!r}.")
    config: PreTrainedConfig = CONFIG_MAPPING[model_type].from_dict(kept)
    if n_outputs is not None:
        config.num_labels = n_outputs
    return config


def config_text(config: PreTrainedConfig) -> str:
    """Return a configuration in its stored form, JSON."""
    return str(config.to_json_string(use_diff=False))
