"""Rules between settings of text, of the models that take it, and of language models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tunecli.study_file.catalogue.architectures import (
    AUTO_MODELS,
    bitsandbytes_is_installed,
    in_few_bits,
)
from tunecli.study_file.catalogue.component_arguments import signature
from tunecli.study_file.catalogue.names import KEPT_CHANNELS, LANGUAGE_MODELS, Kind
from tunecli.study_file.catalogue.token_positions import most_tokens, n_virtual_tokens, too_long
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.setting_types import BLOCK_SIZE, MAX_LENGTH
from tunecli.study_file.settings.settings import WITHOUT, Component, TrialConfig
from tunecli.study_file.settings.source_kinds import kind_of
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.problems import Conflict
from tunecli.study_file.text.suggestions import listed

Rule = Callable[[TrialConfig], Iterator[Conflict]]

_MIXING = ("mixup", "cutmix", "input_noise")


def _text_only(config: TrialConfig) -> Iterator[Conflict]:
    """Yield settings of tokens if the source has no text."""
    data = config.data
    has_text = bool(data.text or data.prompt or data.completion)
    if has_text or kind_of(data.source) in ("pictures", "corpus"):
        return
    way = "Remove this setting."
    if kind_of(data.source) == "table":
        way = "Name a column of text (text: COLUMN), or remove this setting."
    for name in ("tokenizer", "max_length"):
        if getattr(data, name) is not None:
            yield Conflict(("data", name), f"applies only to text, but the data has none. {way}")


def _language_only(config: TrialConfig) -> Iterator[Conflict]:
    """Yield a model that cannot predict tokens but must, or one that does nothing else."""
    is_of_language = config.data.task == "language_modeling"
    if config.model == WITHOUT or is_code(config.model.name):
        return
    if (config.model.name in LANGUAGE_MODELS) == is_of_language:
        return
    fitting = listed(LANGUAGE_MODELS, last="or")
    message = f"{config.model.name} does not predict tokens. Use {fitting}, or your own model."
    if not is_of_language:
        message = f"{config.model.name} predicts tokens. Write data: {{task: language_modeling}}, "
        message += "or use another model."
    yield Conflict(("model",), message, (("data", "task"),))


def _whole_tokens(config: TrialConfig) -> Iterator[Conflict]:
    """Yield settings that a language model cannot follow, since its rows are blocks of tokens."""
    if config.data.task != "language_modeling":
        return
    if config.data.max_length is not None:
        message = "has no effect on a language model, which reads blocks. Write block_size."
        yield Conflict(("data", "max_length"), message)
    changing: dict[Path, object] = {
        ("data", "augment"): config.data.augment,
        **{("training", name): getattr(config.training, name) for name in _MIXING},
    }
    for path in (path for path, value in changing.items() if value):
        yield Conflict(path, "tokens cannot be mixed or changed. Remove it.")


def _heads(config: TrialConfig) -> Iterator[Conflict]:
    """Refuse heads of attention that do not divide the vector of a token into equal parts."""
    if config.model.name != "TransformerEncoder":
        return
    size, n_heads = (given_or_default("model", config.model, n) for n in ("d_model", "nhead"))
    if not isinstance(size, int) or not isinstance(n_heads, int) or n_heads < 1:
        return
    if size % n_heads:
        message = (
            f"d_model must be a multiple of nhead, but got {size} and {n_heads}. Use a multiple "
            f"of {n_heads}; start a range at a multiple, with step: {n_heads}."
        )
        yield Conflict(("model", "d_model"), message, (("model", "nhead"),))


def _transformers(config: TrialConfig) -> Iterator[Conflict]:
    """Yield arguments of a model of transformers that have no effect."""
    given = {name for name, value in config.model.arguments.items() if value is not None}
    if config.model.name not in AUTO_MODELS:
        return
    if {"adapter", "freeze"} <= given:
        message = (
            "freeze has no effect with an adapter, which freezes the whole model. Remove freeze."
        )
        yield Conflict(("model", "freeze"), message, (("model", "adapter"),))
    if {"config", "max_length"} <= given:
        message = "max_length applies to pretrained models. With config, write data.max_length."
        yield Conflict(("model", "max_length"), message, (("model", "config"),))


def _few_bits(config: TrialConfig) -> Iterator[Conflict]:
    """Yield why the frozen weights of a model cannot be held in few bits."""
    given, device = config.model.arguments, config.training.device
    names = in_few_bits(config.model.name, given)
    if not names:
        return
    path = ("model", names[0])
    if given.get("pretrained") is None or given.get("adapter") is None:
        message = "holds the frozen weights of a pretrained model. Write pretrained: NAME and "
        message += "adapter: {LoraConfig: {r: 8}}, or remove it."
        yield Conflict(path, message, (("model",),))
    if len(names) > 1:
        message = "a model is either in 4 or in 8 bits. Remove load_in_4bit or load_in_8bit."
        yield Conflict(path, message, (("model", names[1]),))
    if device in ("cpu", "mps"):
        message = f"is for CUDA only, but training.device is {device}. Remove one of them."
        yield Conflict(path, message, (("training", "device"),))
    if not config.compression.is_none:
        message = "cannot be combined with compression. Remove one of them."
        yield Conflict(path, message, (("compression",),))
    if not bitsandbytes_is_installed():
        message = "needs CUDA and the package bitsandbytes: pip install 'tunecli[bitsandbytes]'."
        yield Conflict(path, message, (("model",),))
    yield from _whole_weights_needed(path, given.get("adapter"))


def _whole_weights_needed(path: Path, adapter: object) -> Iterator[Conflict]:
    """Yield initial values of an adapter that change the frozen weights."""
    start = adapter.arguments.get("init_lora_weights") if isinstance(adapter, Component) else None
    if start not in (None, True, False, "gaussian"):
        message = f"cannot be combined with init_lora_weights: {start}, which changes the frozen "
        message += "weights. Write gaussian, or remove it."
        yield Conflict(path, message, (("model", "adapter"),))


def length_conflicts(
    config: TrialConfig, config_of: Callable[[str], Mapping[str, object]]
) -> Iterator[Conflict]:
    """Yield rows that may have more tokens than a model of transformers has positions for.

    Args:
        config_of: returns the content of a pretrained model's `config.json`; empty if unknown.
    """
    most = most_tokens(config.model, config_of)
    if most is None:
        return
    given, source = config.model.arguments, "pretrained"
    path, n_tokens = ("model", "max_length"), given.get("max_length", MAX_LENGTH)
    if given.get("pretrained") is None:
        source = "config"
        path, n_tokens = ("data", "max_length"), config.data.max_length or MAX_LENGTH
    if config.data.task == "language_modeling":
        path, n_tokens = ("data", "block_size"), config.data.block_size or BLOCK_SIZE
    if not isinstance(n_tokens, int):
        return
    message = too_long(path[1], n_tokens, most, n_virtual_tokens(given.get("adapter")))
    if message is not None:
        yield Conflict(path, message, (("model", source),))


def _merge(config: TrialConfig) -> Iterator[Conflict]:
    if config.compression.merge and config.model.arguments.get("adapter") is None:
        message = (
            f"merge needs a model with an adapter, but {config.model.name} has none. Remove it, "
            "or let a variant set model and merge together."
        )
        yield Conflict(("compression", "merge"), message, (("model",),))


def _structured(config: TrialConfig) -> Iterator[Conflict]:
    """Refuse to remove channels from models that need all of them."""
    settings, kept = config.compression.structured, KEPT_CHANNELS.get(config.model.name)
    if kept is not None and settings is not None and settings.amount > 0:
        message = f"structured pruning cannot remove {kept}. Remove this setting, or write prune."
        yield Conflict(("compression", "structured"), message, (("model",),))


def token_loss_conflicts(loss: Component) -> Iterator[Conflict]:
    """Yield what a loss cannot do with the tokens of a language model."""
    if is_code(loss.name):
        message = "your own loss is not supported for language_modeling. Write CrossEntropyLoss."
        yield Conflict(("loss",), message)
    if loss.arguments.get("weight") is not None:
        message = "is for classes, but a language model predicts tokens. Remove it."
        yield Conflict(("loss", "weight"), message)


def given_or_default(kind: Kind, component: Component, name: str) -> object:
    """Return the value of an argument, or the default of its class."""
    argument = signature(kind, component.name).argument(name)
    return component.arguments.get(name, argument.default if argument else None)


TEXT_RULES: tuple[Rule, ...] = (
    _transformers,
    _few_bits,
    _text_only,
    _language_only,
    _whole_tokens,
    _heads,
    _merge,
    _structured,
)
