"""The largest number of tokens of a model is what transformers itself gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from auto_model_cases import ADAPTERS, SMALL, mini_lm

from tunecli.study_file.catalogue.pretrained_folders import pretrained_config
from tunecli.study_file.catalogue.token_positions import (
    most_tokens,
    n_token_positions,
    n_virtual_tokens,
    too_long,
)
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.pretrained.transformers_networks import n_positions


def of(name: str = "AutoModelForCausalLM", **arguments: Any) -> int | None:
    model = Component(name=name, arguments=arguments)
    return most_tokens(model, lambda pretrained: pretrained_config(pretrained, mini_lm().parent))


@pytest.mark.parametrize("model_type", ["bloom", "gptj", "mpt", "opt", *SMALL])
def test_it_is_that_of_the_configuration_class(model_type: str) -> None:
    from transformers import CONFIG_MAPPING

    name = "AutoModelForSequenceClassification"
    config = CONFIG_MAPPING[model_type]()
    most = getattr(config, "max_position_embeddings", None)
    before = 1 if model_type == "roberta" else 0
    assert of(name, config=model_type) == (most and most - before)
    own = "n_positions" if model_type in ("gpt2", "gptj") else "max_position_embeddings"
    if most is not None:
        assert of(name, config=model_type, **{own: 33}) == 33 - before


def test_it_is_that_of_a_folder() -> None:
    name = "AutoModelForSequenceClassification"
    assert of(name, pretrained=mini_lm().name) == 512
    assert of(name, pretrained="gone") is None
    unknown = Component(name=name, arguments={"pretrained": "any"})
    assert most_tokens(unknown, lambda one: pretrained_config(one, None)) is None


@pytest.mark.parametrize(
    "model_type",
    ["bert", "data2vec-text", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xmod"],
)
@pytest.mark.parametrize("pad", [0, 1, 5])
def test_it_is_that_of_the_network_also_behind_the_position_of_padding(
    model_type: str, pad: int
) -> None:
    from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification

    config = CONFIG_MAPPING[model_type](num_hidden_layers=1, pad_token_id=pad)
    with torch.device("meta"):
        network = AutoModelForSequenceClassification.from_config(config)
    assert n_token_positions(model_type, {"pad_token_id": pad}) == n_positions(network)


def test_a_folder_of_roberta_reserves_the_positions_up_to_its_padding(tmp_path: Path) -> None:
    content = {"model_type": "roberta", "max_position_embeddings": 514}
    (folder := tmp_path / "roberta").mkdir()
    for file in ("tokenizer.json", "model.safetensors"):
        (folder / file).touch()
    for given, expected in (({}, 512), ({"pad_token_id": 3}, 510)):
        (folder / "config.json").write_text(json.dumps(content | given))
        model = Component(
            name="AutoModelForSequenceClassification", arguments={"pretrained": "roberta"}
        )
        assert most_tokens(model, lambda one: pretrained_config(one, tmp_path)) == expected


def test_rotary_positions_reserve_none() -> None:
    rotary = {"position_embedding_type": "rotary", "pad_token_id": 1}
    assert n_token_positions("esm", {**rotary, "position_embedding_type": "absolute"}) == 1024
    assert n_token_positions("esm", rotary) == 1026


def test_other_models_and_unknown_architectures_have_none() -> None:
    assert of("TextCNN") is None
    assert of(config="no_such") is None
    assert of() is None


def test_virtual_tokens_take_positions() -> None:
    assert n_virtual_tokens(ADAPTERS["PromptTuning"]) == 4
    assert n_virtual_tokens(ADAPTERS["LoRA"]) == n_virtual_tokens(None) == 0
    assert too_long("max_length", 60, 64, 4) is None
    assert too_long("max_length", 61, 64, 4) == (
        "max_length must be at most 60, since this model has 64 positions, 4 of them for virtual "
        "tokens, but got 61."
    )
