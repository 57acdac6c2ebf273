"""Add adapters of peft: small trainable parts in a network whose own weights are frozen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from tunecli.errors import ArgumentError, MissingPackageError
from tunecli.study_file.catalogue.token_positions import n_virtual_tokens
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.text.suggestions import listed
from tunecli.training.models.pretrained.transformers_networks import head_modules, takes_cache

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

TaskType = Literal["SEQ_CLS", "FEATURE_EXTRACTION", "CAUSAL_LM"]
"""Tasks in peft's words: with the head of transformers, without a head, or causal."""

_SAVED_BY_PEFT = ("classifier", "score")
_NORM = re.compile("norm", re.IGNORECASE)


def keeps_cache(adapter: Component | None) -> bool:
    """Return whether an adapter puts keys and values before those of the tokens."""
    return adapter is not None and adapter.name == "PrefixTuningConfig"


def add_adapter(network: PreTrainedModel, adapter: Component, task: TaskType) -> PeftModel:
    """Freeze a network and add an adapter, with weights from torch's global random state.

    Args:
        adapter: a configuration class of peft with its arguments.

    Raises:
        ArgumentError: the adapter does not fit the network, or an argument is invalid.
        MissingPackageError: peft is not installed.
    """
    try:
        import peft
    except ModuleNotFoundError as error:
        raise MissingPackageError("transformers", error) from None
    _refuse_without_cache(network, adapter)
    given = {name: value for name, value in adapter.arguments.items() if value is not None}
    given = _filled_in(network, adapter) | given
    heads = [name for name in head_modules(network) if name not in _SAVED_BY_PEFT]
    if heads and task == "SEQ_CLS":  # such as the first of the two layers of DistilBERT's head
        given["modules_to_save"] = [*given.get("modules_to_save", ()), *heads]
    try:
        config = getattr(peft, adapter.name)(task_type=task, **given)
        model: PeftModel = peft.get_peft_model(network, config)
        return model
    except (ValueError, TypeError, KeyError, StopIteration) as error:
        raise _explained(network, adapter, error) from None


def _filled_in(network: PreTrainedModel, adapter: Component) -> dict[str, Any]:
    """Return arguments that follow from the network; peft knows them for few architectures."""
    if adapter.name == "LNTuningConfig":
        return {"target_modules": norm_names(network)}
    if not n_virtual_tokens(adapter):
        return {}
    config, is_prefix = network.config, keeps_cache(adapter)
    weight = network.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return {
        "token_dim": config.hidden_size if is_prefix else weight.shape[1],
        "num_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
    }


def _refuse_without_cache(network: PreTrainedModel, adapter: Component) -> None:
    """Refuse prefix tuning of a network that would ignore the prefix."""
    if not keeps_cache(adapter):
        return
    if not takes_cache(network):
        raise ArgumentError(
            f"{network.config.model_type} cannot take a prefix of keys and values. "
            "Use PromptTuningConfig or LoraConfig.",
            "adapter.PrefixTuningConfig",
        )
    if network.is_activation_checkpointing:
        raise ArgumentError(
            "a model that recomputes its activations ignores the prefix. Remove the "
            "adapter or checkpoint_activations.",
            "adapter.PrefixTuningConfig",
        )


def _explained(network: PreTrainedModel, adapter: Component, error: Exception) -> ArgumentError:
    """Return the error of peft, with the names of layers if it finds none."""
    place = f"adapter.{adapter.name}"
    text = str(error).strip().split("\n")[0] or "peft cannot adapt the layers of this model"
    if "target" not in text or "modules" not in text:
        return ArgumentError(f"{text.removesuffix('.')}.", place)
    names = listed(linear_names(network)) if adapter.name != "LNTuningConfig" else ""
    layers = names or listed(norm_names(network))
    message = f"this model has no layer of that name. Its layers are {layers}."
    return ArgumentError(message, f"{place}.target_modules")


def linear_names(network: nn.Module) -> list[str]:
    """Return the last part of the names of linear layers, each once, in their order."""
    from transformers.pytorch_utils import Conv1D

    return _last_parts(network, lambda name, module: isinstance(module, nn.Linear | Conv1D))


def norm_names(network: nn.Module) -> list[str]:
    """Return the last part of the names of norms, each once, in their order."""
    return _last_parts(network, lambda name, module: bool(_NORM.search(type(module).__name__)))


def _last_parts(network: nn.Module, wanted: Any) -> list[str]:
    names = (name for name, module in network.named_modules() if name and wanted(name, module))
    return list(dict.fromkeys(name.rpartition(".")[2] for name in names))
