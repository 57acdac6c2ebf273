"""Read the architectures of transformers, and the arguments of their configuration classes.

`config: gpt2` names one by its `model_type`. Nothing of transformers is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tunecli.study_file.catalogue import signatures
from tunecli.study_file.catalogue.signatures import Signature
from tunecli.study_file.text.suggestions import did_you_mean, listed

_MAPPINGS = {
    "AutoModelForSequenceClassification": "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    "AutoModelForCausalLM": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
}
AUTO_MODELS = tuple(_MAPPINGS)
"""The models of transformers that a study file can name."""

NOT_INSTALLED = "needs the packages transformers and peft: pip install 'tunecli[transformers]'."

_REFUSED = {
    "quantization_config": "write load_in_4bit: true or load_in_8bit: true, with an adapter.",
    "trust_remote_code": "no code of a model's folder is ever run. Leave it out.",
}
"""Arguments of `from_pretrained` that a study file cannot set, and the reason."""

IN_FEW_BITS = ("load_in_4bit", "load_in_8bit")
"""Arguments that hold the frozen weights of a pretrained model in few bits while it trains."""

_ONLY_ROWS = "a language model reads blocks of tokens. Write data: {block_size: …}."

_COMMON = ("albert", "bert", "distilbert", "gpt2", "llama", "modernbert", "roberta")
"""Architectures that messages name."""

_OF_TOKENIZER = {
    "vocab_size",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "sep_token_id",
    "cls_token_id",
    "mask_token_id",
}
_OF_OTHER_TASKS = {"use_cache", "is_decoder", "add_cross_attention", "is_encoder_decoder"}


def bitsandbytes_is_installed() -> bool:
    """Return whether the extra `tunecli[bitsandbytes]` is installed."""
    return find_spec("bitsandbytes") is not None


def in_few_bits(model: str, given: Mapping[str, object]) -> list[str]:
    """Return the arguments by which a model's frozen weights are held in few bits; none if not."""
    return [name for name in IN_FEW_BITS if model in AUTO_MODELS and given.get(name) is True]


def transformers_is_installed() -> bool:
    """Return whether the extra `tunecli[transformers]` is installed."""
    return all(find_spec(name) is not None for name in ("transformers", "peft"))


def _file(*path: str) -> Path:
    return signatures.package_folder("transformers").joinpath("models", *path)


@cache
def _table(file: Path, name: str) -> Mapping[str, str]:
    """Return the pairs of strings of a module's `name = OrderedDict([(…, …), …])`."""
    for node in signatures.parsed(file).body:
        if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) != name:
            continue
        pairs = [n for n in ast.walk(node.value) if isinstance(n, ast.Tuple) and len(n.elts) == 2]
        values = [[getattr(item, "value", None) for item in pair.elts] for pair in pairs]
        return {key: value for key, value in values if isinstance(key, str) and value}
    return {}


@cache
def model_types(model: str) -> tuple[str, ...]:
    """Return the architectures that a model can have, by their `model_type`."""
    file = _file("auto", "modeling_auto.py")
    return tuple(name for name in _table(file, _MAPPINGS[model]) if name in _config_classes())


def _config_classes() -> Mapping[str, str]:
    return _table(_file("auto", "auto_mappings.py"), "CONFIG_MAPPING_NAMES")


@cache
def architecture(model_type: str) -> Signature:
    """Return the arguments of an architecture that a study file can set.

    These are the fields of its configuration class, without those that follow from the tokenizer
    and those that a classifier or a language model cannot change.
    """
    every, left_out = config_fields(model_type), _OF_TOKENIZER | _OF_OTHER_TASKS
    kept = tuple(one for one in every.arguments if one.name not in left_out)
    return Signature(every.name, kept)


@cache
def config_fields(model_type: str) -> Signature:
    """Return all fields of the configuration class of an architecture."""
    files = tuple(sorted(_folder(model_type).glob("configuration_*.py")))
    return signatures.dataclass_signature(files, _config_classes()[model_type])


@cache
def network_source(model_type: str) -> str:
    """Return the source text of the networks of an architecture."""
    files = sorted(_folder(model_type).glob("modeling_*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def _folder(model_type: str) -> Path:
    modules = _table(_file("auto", "auto_mappings.py"), "SPECIAL_MODEL_TYPE_TO_MODULE_NAME")
    return _file(modules.get(model_type, model_type).replace("-", "_"))


def refused_arguments(model: str) -> Mapping[str, str]:
    """Return arguments of a model that a study file cannot set, and the reason of each."""
    if model not in AUTO_MODELS:
        return {}
    return _REFUSED | ({"max_length": _ONLY_ROWS} if model == "AutoModelForCausalLM" else {})


def unknown_architecture(model: str, name: object) -> str | None:
    """Return the message for a `config` that the model cannot have; None if it can."""
    if name in model_types(model):
        return None
    hint = did_you_mean(name, model_types(model)) if isinstance(name, str) else ""
    known = f" Write the model_type of an architecture of transformers, such as {listed(_COMMON)}."
    return f"{model} of transformers has no architecture {name!r}.{hint or known}"


def open_arguments(model: str, given: Mapping[str, object]) -> Signature | None:
    """Return the further arguments of a model of transformers: those of its `config`.

    Returns:
        None if `config` names no architecture, so that nothing is known about them.
    """
    model_type = given.get("config")
    if model_type is None:
        return Signature(model, ())
    known = isinstance(model_type, str) and model_type in model_types(model)
    return architecture(str(model_type)) if known else None
