"""Architectures and adapters are read as the libraries define them, without importing these."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from tunecli.study_file.catalogue.adapters import ADAPTERS
from tunecli.study_file.catalogue.architectures import AUTO_MODELS, architecture, model_types
from tunecli.study_file.catalogue.component_arguments import argument_problems, signature
from tunecli.study_file.catalogue.names import library_signature, unknown_name
from tunecli.study_file.catalogue.signatures import Unreadable
from tunecli.study_file.settings.settings import Component

CLASSIFIER = "AutoModelForSequenceClassification"


def problems(name: str, **arguments: object) -> list[tuple[tuple[str, ...], str]]:
    return argument_problems("model", Component(name=name, arguments=arguments))


@pytest.mark.slow
@pytest.mark.parametrize("model", AUTO_MODELS)
def test_architectures_are_those_of_transformers(model: str) -> None:
    import transformers

    mapping = getattr(transformers, model)._model_mapping
    known = set(mapping._model_mapping) & set(mapping._config_mapping)
    assert set(model_types(model)) == known - {"gpt-sw3"}  # which is GPT-2


@pytest.mark.slow
@pytest.mark.parametrize("model", AUTO_MODELS)
def test_every_architecture_has_arguments(model: str) -> None:
    assert all(architecture(model_type).arguments for model_type in model_types(model))


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["bert", "distilbert", "gpt2", "llama", "modernbert"])
def test_arguments_are_the_fields_of_the_configuration_class(model_type: str) -> None:
    from transformers import CONFIG_MAPPING, PreTrainedConfig

    made = CONFIG_MAPPING[model_type]
    common = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    own = {field.name: field.default for field in dataclasses.fields(made)}
    read = {one.name: one.default for one in architecture(model_type).arguments}
    for name, default in read.items():
        if default is not Unreadable and own[name] is not dataclasses.MISSING:
            assert default == own[name], name
    ours = {name for name in own if name not in common}
    left_out = {"vocab_size", "use_cache", "is_decoder", "add_cross_attention"}
    left_out |= {name for name in ours if name.endswith("_token_id")}
    assert set(read) >= ours - left_out
    assert not set(read) & left_out


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_are_read_as_peft_defines_them(name: str) -> None:
    import peft

    fields = {field.name: field for field in dataclasses.fields(getattr(peft, name))}
    read = {one.name: one.default for one in library_signature("adapter", name).arguments}
    assert set(ADAPTERS[name][1]) <= set(read) <= set(fields)
    for argument, default in read.items():
        if default is not Unreadable and default is not None:
            assert default == fields[argument].default, argument


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_supported_argument_of_an_adapter_can_be_set(name: str) -> None:
    assert {one.name for one in signature("adapter", name).arguments} == set(ADAPTERS[name][1])


@pytest.mark.parametrize(
    ("name", "arguments", "path", "message"),
    [
        (CLASSIFIER, {}, (), "either pretrained .* or config .*, but got neither"),
        (CLASSIFIER, {"pretrained": "x", "config": "bert"}, (), "but got both"),
        (CLASSIFIER, {"config": "brt"}, ("config",), "no architecture 'brt'. Did you mean `bert`"),
        (CLASSIFIER, {"config": "zzzzzz"}, ("config",), "such as `albert`, `bert`"),
        (
            CLASSIFIER,
            {"config": "bert", "hiden_size": 3},
            ("hiden_size",),
            "Did you mean `hidden_size`",
        ),
        (
            CLASSIFIER,
            {"config": "bert", "hidden_size": "wide"},
            ("hidden_size",),
            "must be a whole number, but got the string 'wide'",
        ),
        (CLASSIFIER, {"config": "bert", "vocab_size": 3}, ("vocab_size",), "no argument"),
        (CLASSIFIER, {"pretrained": "x", "n_layer": 3}, ("n_layer",), "It takes `pretrained`"),
        (CLASSIFIER, {"pretrained": "x", "pooling": "max"}, ("pooling",), "mean or cls or last"),
        (
            "AutoModelForCausalLM",
            {"config": "gpt2", "pooling": "mean"},
            ("pooling",),
            "no argument `pooling`",
        ),
        (
            CLASSIFIER,
            {"pretrained": "x", "trust_remote_code": True},
            ("trust_remote_code",),
            "no code of a model's folder is ever run",
        ),
        (
            CLASSIFIER,
            {"pretrained": "x", "quantization_config": "nf4"},
            ("quantization_config",),
            "write load_in_4bit: true or load_in_8bit: true, with an adapter.",
        ),
        (
            CLASSIFIER,
            {"pretrained": "x", "adapter": Component(name="LoraConfig", arguments={"rank": 4})},
            ("adapter", "LoraConfig", "rank"),
            "LoraConfig has no argument `rank`",
        ),
        (
            CLASSIFIER,
            {"pretrained": "x", "adapter": Component(name="PromptTuningConfig")},
            ("adapter",),
            "PromptTuningConfig needs num_virtual_tokens: a whole number",
        ),
        (
            CLASSIFIER,
            {
                "pretrained": "x",
                "adapter": Component(name="LoraConfig", arguments={"init_lora_weights": "pissa"}),
            },
            ("adapter", "LoraConfig", "init_lora_weights"),
            "true or false or gaussian or orthogonal",
        ),
        (
            CLASSIFIER,
            {"pretrained": "x", "adapter": "AdaLoraConfig"},
            ("adapter",),
            "AdaLoraConfig is not supported: it moves ranks between layers",
        ),
    ],
)
def test_a_mistake_is_refused_at_its_argument(
    name: str, arguments: dict[str, object], path: tuple[str, ...], message: str
) -> None:
    import re

    [(at, text)] = problems(name, **arguments)
    assert at == path
    assert re.search(message, text), text


def test_good_arguments_are_accepted() -> None:
    lora = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.1, "target_modules": "all-linear"}
    adapter = Component(name="LoraConfig", arguments={**lora, "use_dora": True})
    assert problems(CLASSIFIER, pretrained="x", max_length=64, adapter=adapter) == []
    assert problems("AutoModelForCausalLM", config="gpt2", n_layer=2, resid_pdrop=0.2) == []


def test_a_base_class_of_adapters_is_no_adapter() -> None:
    assert "abstract base class" in unknown_name("adapter", "PeftConfig")
    assert "Did you mean `LoraConfig`?" in unknown_name("adapter", "LoraConfg")


def test_reading_them_imports_neither_library() -> None:
    script = """
import sys
from tunecli.study_file.catalogue import architectures, component_arguments, names
for name in names.names("adapter"):
    component_arguments.signature("adapter", name)
for name in architectures.AUTO_MODELS:
    assert "gpt2" in architectures.model_types(name)
architectures.architecture("gpt2")
heavy = {"torch", "transformers", "peft", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)
