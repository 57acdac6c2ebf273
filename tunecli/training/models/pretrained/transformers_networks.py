"""Build networks of transformers, and find their parts."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from tunecli.errors import MissingPackageError
from tunecli.training.models.pretrained.hub_kernels import no_hub_kernels

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_SAME_START = ([0, 0, 0, 0], [0, 0, 1, 1])


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Import transformers, and keep its reports and warnings off the screen within the block.

    It runs no code of the hub, within the block and after it.

    Raises:
        MissingPackageError: transformers is not installed.
    """
    with warnings.catch_warnings(), no_hub_kernels():
        warnings.simplefilter("ignore")
        try:
            from transformers.integrations import hub_kernels  # noqa: F401  # decides at import
            from transformers.utils import logging
        except ModuleNotFoundError as error:
            raise MissingPackageError("transformers", error) from None
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        yield
    # Prefix tuning of peft meets it in each forward pass.
    warnings.filterwarnings("ignore", ".*past_key_values.* is deprecated", FutureWarning)


def build_network(
    auto_model: str,
    config: PreTrainedConfig,
    folder: Path | None,
    source: Mapping[str, Tensor] | None = None,
) -> PreTrainedModel:
    """Build a network, with weights from a folder or from torch's global random state.

    What the folder lacks, such as the head of a classifier, is drawn. Weights are float32. Nothing
    is downloaded or unpickled, and no code of the folder is run.

    Args:
        auto_model: a class of transformers, such as AutoModel.
        folder: the folder with the weights; None to draw all of them.
        source: its tensors by name, if they are in memory; the network uses that memory.

    Raises:
        ValueError: transformers has no such model of this architecture, or an argument is invalid.
    """
    import transformers
    from transformers.models.auto.auto_factory import _get_model_class

    if config.is_encoder_decoder:
        raise ValueError(
            f"{config.model_type} is an encoder with a decoder, which is not supported. Use an "
            "encoder such as bert, or a decoder such as gpt2."
        )
    make = getattr(transformers, auto_model)
    without = {"add_pooling_layer": False} if _has_unused_pooler(make, config) else {}
    # A head for other classes is drawn anew.
    given = {"config": config, "dtype": torch.float32, "ignore_mismatched_sizes": True, **without}
    if folder is None:
        network = make.from_config(config, dtype=torch.float32, **without)
    elif source is not None and type(config) in make._model_mapping:
        state = {name: weight.data for name, weight in source.items()}
        found = _get_model_class(config, make._model_mapping)  # type: ignore[no-untyped-call]
        network = found.from_pretrained(None, state_dict=state, **given)
    else:
        network = make.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            **given,
        )
    return cast("PreTrainedModel", network)


def _has_unused_pooler(make: Any, config: PreTrainedConfig) -> bool:
    """Return whether a network without head can leave out its pooler, whose output is unused."""
    if make.__name__ != "AutoModel" or type(config) not in make._model_mapping:
        return False
    return "add_pooling_layer" in inspect.signature(make._model_mapping[type(config)]).parameters


def takes_cache(network: PreTrainedModel) -> bool:
    """Return whether keys and values can be put before those of the tokens."""
    names = inspect.signature(network.forward).parameters
    return "cache" in names or "past_key_values" in names


def has_own_head(auto_model: str, config: PreTrainedConfig) -> bool:
    """Return whether transformers has this model for the architecture."""
    import transformers

    return type(config) in getattr(transformers, auto_model)._model_mapping


def is_decoder(config: PreTrainedConfig) -> bool:
    """Return whether the last token is the only one that has seen all others."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    kinds = (AutoModelForCausalLM, AutoModelForMaskedLM)
    causal, masked = (type(config) in kind._model_mapping for kind in kinds)
    return causal and not masked


def sees_later_tokens(network: PreTrainedModel) -> bool:
    """Return whether the scores of a token depend on the tokens behind it."""
    was_training = network.training
    network.train(False)
    with torch.no_grad():
        one, other = (network(input_ids=torch.tensor([ids])).logits for ids in _SAME_START)
    network.train(was_training)
    return not torch.allclose(one[:, :2], other[:, :2], rtol=1e-5, atol=1e-6)


def n_positions(network: PreTrainedModel) -> int | None:
    """Return the largest number of tokens per row; None if there is no limit."""
    most = getattr(network.config, "max_position_embeddings", None)
    if not isinstance(most, int) or most <= 0:
        return None
    reserved = [
        module.padding_idx + 1
        for name, module in network.named_modules()
        if name.endswith("position_embeddings")
        and isinstance(module, nn.Embedding)
        and module.padding_idx is not None
    ]
    return most - max(reserved, default=0)


def head_modules(network: PreTrainedModel) -> dict[str, nn.Module]:
    """Return the children with weights that are not the base of a network, by name."""
    base = network.base_model
    children = [] if network is base else network.named_children()
    return {
        name: child
        for name, child in children
        if child is not base and any(True for _ in child.parameters())
    }


def network_blocks(network: PreTrainedModel) -> list[list[nn.Module]]:
    """Divide the base of a network into its embeddings and its layers.

    What is before the layers belongs to the first block, what is behind them to the last one. A
    base whose layers share their weights is one block.

    Args:
        network: without the wrapper of peft.
    """
    base = network.base_model
    n_layers = getattr(base.config, "num_hidden_layers", None)
    layers = next((module for module in base.modules() if _is_layers(module, n_layers)), None)
    if layers is None:
        return [[base]]
    before, behind = _around(base, layers)
    blocks = [before, *([layer] for layer in layers.children())]
    blocks[-1] += behind
    return blocks


def _is_layers(module: nn.Module, n_layers: object) -> bool:
    return isinstance(module, nn.ModuleList) and len(module) == n_layers


def _around(module: nn.Module, part: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return the modules before and behind a part, at each depth that contains it."""
    before: list[nn.Module] = []
    behind: list[nn.Module] = []
    while module is not part:
        children = [*module.children()]
        place = next(i for i, child in enumerate(children) if _contains(child, part))
        before += children[:place]
        behind += children[place + 1 :]
        module = children[place]
    return before, behind


def _contains(module: nn.Module, part: nn.Module) -> bool:
    return any(inner is part for inner in module.modules())
