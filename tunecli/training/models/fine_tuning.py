"""Fine-tuning: freeze weights, or train them with a smaller learning rate."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.text.counts import count
from tunecli.training.models import user_parts
from tunecli.training.models.blocks import backbone_blocks, backbone_parameters, containers
from tunecli.training.models.parametrization.width_factors import own_rates

Freeze = int | Literal["features"]

_AUXILIARY_WEIGHTS = {"googlenet": 0.3, "inception_v3": 0.4}


def freeze(model: nn.Module, name: str, what: Freeze) -> None:
    """Exclude weights from training.

    Args:
        name: name of the model, for messages.
        what: number of leading blocks (`blocks.backbone_blocks`), or `features` for everything but
            the head.

    Raises:
        ValueError: the model has fewer blocks, or no weights before its head.
    """
    frozen = _before_head(model, name) if what == "features" else _leading(model, name, what)
    for parameter in frozen:
        parameter.requires_grad_(False)


def _leading(model: nn.Module, name: str, n_blocks: int) -> list[Tensor]:
    """Return parameters of the first blocks; those outside of all blocks belong to the first."""
    blocks = backbone_blocks(model)
    if not 0 <= n_blocks <= len(blocks):
        raise ValueError(
            f"freeze must be `features` or a number of blocks from 0 to {len(blocks)}, but got "
            f"{n_blocks}. {name} has {count(len(blocks), 'block')} before its head."
        )
    if not n_blocks:
        return []
    outside = [p for container in containers(model) for p in container.parameters(recurse=False)]
    modules = [module for block in blocks[:n_blocks] for module in block]
    return [*outside, *(p for module in modules for p in module.parameters())]


def _before_head(model: nn.Module, name: str) -> list[Tensor]:
    parameters = backbone_parameters(model)
    if not parameters:
        raise ValueError(
            f"{name} has no weights before its head (the head is the last child module that has "
            "weights). Remove freeze, backbone_lr and layer_decay."
        )
    return parameters


def set_training(model: nn.Module) -> None:
    """Put a model into training mode, except batch norms whose own weights are frozen.

    These keep their statistics, as the layers before them keep their weights.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            weights = list(module.parameters(recurse=False))
            if weights and not any(weight.requires_grad for weight in weights):
                module.eval()


def rate_factors(component: Component, model: nn.Module) -> dict[Tensor, float]:
    """Return the factors on the learning rate by parameter, of `backbone_lr` and `layer_decay`.

    Without these two, the factors are those of the model itself.

    Block d before the head has the factor backbone_lr · layer_decay^d; d is 1 for the last block.
    Howard and Ruder (2018), "Universal Language Model Fine-tuning for Text Classification",
    section 3.2, https://arxiv.org/abs/1801.06146.

    Raises:
        ValueError: a factor is out of its bounds, or the model has no weights before its head.
    """
    arguments = component.arguments
    if is_code(component.name):
        arguments = user_parts.for_tunecli(component)
    factor, decay = arguments.get("backbone_lr"), arguments.get("layer_decay")
    if factor is None and decay is None:
        return own_rates(model)
    if factor is not None and not factor > 0:
        raise ValueError(
            f"backbone_lr must be above 0, but got {factor}. To keep the weights fixed, write "
            "`freeze: features`."
        )
    if decay is not None and not 0 < decay <= 1:
        raise ValueError(f"layer_decay must be above 0 and at most 1, but got {decay}.")
    factor, decay = float(factor or 1.0), float(decay or 1.0)
    depths = _depths(model)
    first = max(depths.values(), default=1)
    weights = _before_head(model, component.name)
    return {weight: factor * decay ** depths.get(weight, first) for weight in weights}


def _depths(model: nn.Module) -> dict[Tensor, int]:
    """Return the number of blocks from each parameter to the head, that of its own included.

    Those outside of all blocks are left out; they belong to the first block.
    """
    blocks = enumerate(reversed(backbone_blocks(model)), 1)
    return {w: depth for depth, block in blocks for m in block for w in m.parameters()}


def auxiliary_weight(component: Component) -> float:
    """Return the factor on the losses of auxiliary outputs in training.

    0.3 for GoogLeNet (Szegedy et al. 2015, section 5, https://arxiv.org/abs/1409.4842), 0.4 for
    Inception v3 (PyTorch's tutorial on fine-tuning, and TensorFlow's `inception_v3`).
    """
    return _AUXILIARY_WEIGHTS.get(component.name, 0.0)
