"""Optimizers: every class of `torch.optim`, by name, on the parameters it is meant for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunecli.data.user_code.import_user_code import load_object
from tunecli.errors import TunecliError
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import Component
from tunecli.training.models import user_parts

NO_FACTORS: Mapping[Tensor, float] = {}

RATE_FACTOR = "rate_factor"
"""Key of a parameter group with a factor on the learning rate; schedules keep it."""

FUSED_DEVICES = ("cpu", "cuda")
"""Where every optimizer that has a fused kernel has it."""


def build_optimizers(
    component: Component,
    model: nn.Module,
    decay: Literal["all", "weights"],
    factors: Mapping[Tensor, float] = NO_FACTORS,
) -> list[Optimizer]:
    """The optimizers that together train all parameters of `model`.

    That is one, except for Muon: it trains the hidden matrices, and its argument `rest`, an
    optimizer of its own (AdamW if not given), everything else.

    Args:
        component: a class of `torch.optim` and its arguments.
        decay: which parameters feel `weight_decay`, see `decay_groups`.
        factors: on the learning rate, of parameters that have another one.

    Raises:
        TunecliError: Muon with a model that has no hidden matrix, or LBFGS with factors.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if component.name != "Muon":
        return [_build(component, parameters, decay, factors)]
    hidden = hidden_matrices(model)
    if not hidden:
        raise TunecliError(
            "optimizer: Muon trains the two-dimensional weights of hidden layers, and this model "
            "has none. Take another optimizer, or a model with hidden linear layers."
        )
    arguments = dict(component.arguments)
    rest = as_component(arguments.pop("rest", Component(name="AdamW")))
    chosen = {id(matrix) for matrix in hidden}
    others = [parameter for parameter in parameters if id(parameter) not in chosen]
    muon = Component(name="Muon", arguments=arguments)
    return [_build(muon, hidden, decay, factors), _build(rest, others, decay, factors)]


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """The two-dimensional weights that produce a hidden layer.

    Embeddings and the output head (the last matrix) are left out, as Muon's author advises; the
    first linear layer of dense features stays in, for its output is a hidden layer.
    https://kellerjordan.github.io/posts/muon/
    """
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
    }
    matrices: list[Tensor] = [
        parameter
        for parameter in model.parameters()
        if parameter.ndim == 2 and parameter.requires_grad and id(parameter) not in embeddings
    ]
    return matrices[:-1]


def decay_groups(
    parameters: Sequence[Tensor], decay: Literal["all", "weights"]
) -> list[dict[str, Any]]:
    """Parameter groups of an optimizer that has `weight_decay`; they partition `parameters`.

    Args:
        decay: `all` parameters feel it; or `weights` only, tensors of two and more dimensions, so
            that biases and the scales of norms are not pulled to zero.
    """
    if decay == "all":
        return [{"params": list(parameters)}]
    weights = [parameter for parameter in parameters if parameter.ndim >= 2]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def rate_groups(
    groups: Sequence[dict[str, Any]], factors: Mapping[Tensor, float], lr: float
) -> list[dict[str, Any]]:
    """Parameter groups divided by their rate; those of the full rate come first.

    Args:
        groups: with `params`.
        factors: of parameters whose rate is another one than `lr`.
    """
    divided = []
    for group in groups:
        of_factor: dict[float, list[Tensor]] = {}
        for parameter in group["params"]:
            of_factor.setdefault(factors.get(parameter, 1.0), []).append(parameter)
        for factor, parameters in of_factor.items():
            own = {"lr": lr * factor, RATE_FACTOR: factor} if factors else {}
            divided.append({**group, "params": parameters, **own})
    return sorted(divided, key=lambda group: group.get(RATE_FACTOR, 1.0) != 1.0)


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether a step evaluates the loss more than once, as LBFGS does.

    All others take `closure=None` and then step along the gradients that are there, which gives
    the same as calling the closure once.
    """
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def as_component(value: Component | dict[str, Any] | str) -> Component:
    """An optimizer inside the arguments of another, however the study file wrote it."""
    if isinstance(value, Component):
        return value
    if isinstance(value, str):
        return Component(name=value)
    if set(value) == {"name", "arguments"}:  # as Component.model_dump() writes it
        return Component.model_validate(value)
    [(name, arguments)] = value.items()
    return Component(name=name, arguments=arguments or {})


def _build(
    component: Component,
    parameters: Sequence[Tensor],
    decay: Literal["all", "weights"],
    factors: Mapping[Tensor, float],
) -> Optimizer:
    """One optimizer, by its fused kernel where it has one."""
    if is_code(component.name):
        own = inspect.signature(load_object(component.name)).parameters
        accepts = "weight_decay" in own
        groups = decay_groups(parameters, decay if accepts else "all")
        lr = component.arguments.get("lr", own["lr"].default if "lr" in own else 0.0)
        return user_parts.build_optimizer(component, rate_groups(groups, factors, lr))
    optimizer: type[Optimizer] = getattr(torch.optim, component.name)
    accepted = inspect.signature(optimizer).parameters
    arguments = dict(component.arguments)
    if "betas" in arguments:  # of which Adam takes no whole number, not even 0
        arguments["betas"] = tuple(map(float, arguments["betas"]))
    if "fused" in accepted and parameters[0].device.type in FUSED_DEVICES:
        arguments["fused"] = True
    groups = decay_groups(parameters, decay if "weight_decay" in accepted else "all")
    if factors and component.name == "LBFGS":
        raise TunecliError(
            "LBFGS has one learning rate for all weights. Leave backbone_lr out, or take another "
            "optimizer."
        )
    lr = float(arguments.get("lr", accepted["lr"].default))
    return optimizer(rate_groups(groups, factors, lr), **arguments)
