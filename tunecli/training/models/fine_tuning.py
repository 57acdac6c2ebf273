"""Fine-tuning: which weights stay as they are, and which learn more slowly."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import Component
from tunecli.training.models import user_parts
from tunecli.training.models.blocks import backbone_blocks, backbone_parameters, containers

Freeze = int | Literal["features"]

_AUXILIARY_WEIGHTS = {"googlenet": 0.3, "inception_v3": 0.4}


def freeze(model: nn.Module, name: str, what: Freeze) -> None:
    """Exclude weights from training.

    Args:
        name: of the model, for messages.
        what: how many leading blocks (`blocks.blocks`), or `features`: everything but the head.

    Raises:
        ValueError: the model has fewer blocks, or nothing before its head.
    """
    frozen = _before_head(model, name) if what == "features" else _leading(model, name, what)
    for parameter in frozen:
        parameter.requires_grad_(False)


def _leading(model: nn.Module, name: str, n_blocks: int) -> list[Tensor]:
    """Parameters of the first blocks; what stands beside all blocks belongs to the first one."""
    found = backbone_blocks(model)
    if not 0 <= n_blocks <= len(found):
        raise ValueError(
            f"freeze must be from 0 to {len(found)}, the blocks of {name} before its head, or "
            f"`features`, but got {n_blocks}."
        )
    if not n_blocks:
        return []
    beside = [p for container in containers(model) for p in container.parameters(recurse=False)]
    modules = [module for block in found[:n_blocks] for module in block]
    return [*beside, *(p for module in modules for p in module.parameters())]


def _before_head(model: nn.Module, name: str) -> list[Tensor]:
    found = backbone_parameters(model)
    if not found:
        raise ValueError(
            f"{name} has no weights before its head, which is its last part with weights. Leave "
            "freeze and backbone_lr out."
        )
    return found


def set_training(model: nn.Module) -> None:
    """Put a model into training mode, but for batch norms whose own weights are frozen.

    Those keep the statistics they came with, as the layers before them keep their weights.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            weights = list(module.parameters(recurse=False))
            if weights and not any(weight.requires_grad for weight in weights):
                module.eval()


def rate_factors(component: Component, model: nn.Module) -> dict[Tensor, float]:
    """Factors on the learning rate, of parameters that have one: `backbone_lr` of a model.

    Raises:
        ValueError: the factor is not positive, or there is nothing before the head.
    """
    arguments = component.arguments
    if is_code(component.name):
        arguments = user_parts.for_tunecli(component)
    factor = arguments.get("backbone_lr")
    if factor is None:
        return {}
    if not factor > 0:
        raise ValueError(
            f"backbone_lr must be above 0, but got {factor}. To leave weights as they are, write "
            "`freeze: features`."
        )
    return dict.fromkeys(_before_head(model, component.name), float(factor))


def auxiliary_weight(component: Component) -> float:
    """The factor on the losses of auxiliary outputs in training.

    0.3 for GoogLeNet (Szegedy et al. 2015, section 5, https://arxiv.org/abs/1409.4842), 0.4 for
    Inception v3 (PyTorch's tutorial on fine-tuning, and TensorFlow's `inception_v3`).
    """
    return _AUXILIARY_WEIGHTS.get(component.name, 0.0)
