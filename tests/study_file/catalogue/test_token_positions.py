"""The largest number of tokens of a model is what transformers itself gives."""

from __future__ import annotations

from typing import Any

import pytest
from auto_model_cases import ADAPTERS, SMALL, mini_lm

from tunecli.study_file.catalogue.pretrained_folders import pretrained_config
from tunecli.study_file.catalogue.token_positions import most_tokens, n_virtual_tokens, too_long
from tunecli.study_file.settings.settings import Component


def of(name: str = "AutoModelForCausalLM", **arguments: Any) -> int | None:
    model = Component(name=name, arguments=arguments)
    return most_tokens(model, lambda pretrained: pretrained_config(pretrained, mini_lm().parent))


@pytest.mark.parametrize("model_type", ["bloom", "gptj", "mpt", "opt", *SMALL])
def test_it_is_that_of_the_configuration_class(model_type: str) -> None:
    from transformers import CONFIG_MAPPING

    name = "AutoModelForSequenceClassification"
    config = CONFIG_MAPPING[model_type]()
    expected = getattr(config, "max_position_embeddings", None)
    assert of(name, config=model_type) == expected
    own = "n_positions" if model_type in ("gpt2", "gptj") else "max_position_embeddings"
    if expected is not None:
        assert of(name, config=model_type, **{own: 33}) == 33


def test_it_is_that_of_a_folder() -> None:
    name = "AutoModelForSequenceClassification"
    assert of(name, pretrained=mini_lm().name) == 512
    assert of(name, pretrained="gone") is None
    unknown = Component(name=name, arguments={"pretrained": "any"})
    assert most_tokens(unknown, lambda one: pretrained_config(one, None)) is None


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
