"""Build optimizers: any class of `torch.optim` by name, for the parameters that suit it."""

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
from tunecli.training.models.parametrization.width_factors import width_rates

NO_FACTORS: Mapping[Tensor, float] = {}

RATE_FACTOR = "rate_factor"
"""Key in a parameter group for its learning-rate factor, which schedules respect."""

FUSED_DEVICES = ("cpu", "cuda")
"""Devices that every optimizer's fused kernel supports."""


def build_optimizers(
    component: Component,
    model: nn.Module,
    decay: Literal["all", "weights"],
    factors: Mapping[Tensor, float] = NO_FACTORS,
) -> list[Optimizer]:
    """Build the optimizers that together train all parameters of `model`.

    This is a single optimizer, except for Muon: it trains the hidden matrices, and the optimizer
    in its argument `rest` (default AdamW) trains everything else.

    In a model with `parametrization: mup`, learning rates also have the factors of `width_rates`.
    The weight decay is divided by these, so that each step takes away the same share of all
    weights.

    Args:
        component: a class of `torch.optim` with its arguments.
        decay: the parameters that `weight_decay` applies to, see `decay_groups`.
        factors: factors on the learning rate, of parameters with another rate.

    Raises:
        ValueError: see `width_rates`.
        TunecliError: Muon with a model without hidden matrices, or LBFGS with factors.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if component.name != "Muon":
        return [_build(component, parameters, decay, factors, width_rates(component, model))]
    hidden = hidden_matrices(model)
    if not hidden:
        raise TunecliError(
            "optimizer: Muon trains the two-dimensional weights of hidden layers, and this model "
            "has none. Use another optimizer, or a model with hidden linear layers."
        )
    arguments = dict(component.arguments)
    rest = as_component(arguments.pop("rest", Component(name="AdamW")))
    chosen = {id(matrix) for matrix in hidden}
    others = [parameter for parameter in parameters if id(parameter) not in chosen]
    muon = Component(name="Muon", arguments=arguments)
    return [_build(muon, hidden, decay, factors), _build(rest, others, decay, factors)]


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """Return the two-dimensional weights that produce a hidden layer.

    Embeddings and the output head (the last matrix) are excluded, as Muon's author advises; the
    first linear layer of dense features is included, since its output is a hidden layer.
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
    """Divide `parameters` into groups for an optimizer that has `weight_decay`.

    Args:
        decay: `all` applies it to all parameters; `weights` only to tensors of two or more
            dimensions, so that biases and the scales of norms are not decayed.
    """
    if decay == "all":
        return [{"params": list(parameters)}]
    weights = [parameter for parameter in parameters if parameter.ndim >= 2]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def rate_groups(
    groups: Sequence[dict[str, Any]],
    factors: Mapping[Tensor, float],
    lr: float,
    by_width: Mapping[Tensor, float] = NO_FACTORS,
    weight_decay: float = 0.0,
) -> list[dict[str, Any]]:
    """Divide parameter groups by their learning rate; groups with the full rate come first.

    Args:
        groups: parameter groups with `params`.
        factors: factors of parameters whose rate differs from `lr`.
        lr: the full learning rate.
        by_width: further factors, by which the weight decay is divided.
        weight_decay: that of groups without their own.
    """
    divided = []
    for group in groups:
        by_factor: dict[tuple[float, float], list[Tensor]] = {}
        for parameter in group["params"]:
            key = factors.get(parameter, 1.0), by_width.get(parameter, 1.0)
            by_factor.setdefault(key, []).append(parameter)
        for (factor, of_width), parameters in by_factor.items():
            rate = factor * of_width
            own = {"lr": lr * rate, RATE_FACTOR: rate} if factors or by_width else {}
            if of_width != 1:
                own["weight_decay"] = group.get("weight_decay", weight_decay) / of_width
            divided.append({**group, "params": parameters, **own})
    return sorted(divided, key=lambda group: group.get(RATE_FACTOR, 1.0) != 1.0)


def needs_closure(optimizer: Optimizer) -> bool:
    """Return whether a step evaluates the loss more than once, as with LBFGS.

    All others take `closure=None` and step along the existing gradients, with the same result as
    calling the closure once.
    """
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def as_component(value: Component | dict[str, Any] | str) -> Component:
    """Return the optimizer in the arguments of another one, in any notation of study files."""
    if isinstance(value, Component):
        return value
    if isinstance(value, str):
        return Component(name=value)
    if set(value) == {"name", "arguments"}:  # from Component.model_dump()
        return Component.model_validate(value)
    [(name, arguments)] = value.items()
    return Component(name=name, arguments=arguments or {})


def _build(
    component: Component,
    parameters: Sequence[Tensor],
    decay: Literal["all", "weights"],
    factors: Mapping[Tensor, float],
    by_width: Mapping[Tensor, float] = NO_FACTORS,
) -> Optimizer:
    """Build one optimizer, with its fused kernel if it has one."""
    if is_code(component.name):
        own = inspect.signature(load_object(component.name)).parameters
        accepts = "weight_decay" in own
        groups = decay_groups(parameters, decay if accepts else "all")
        lr = component.arguments.get("lr", own["lr"].default if "lr" in own else 0.0)
        return user_parts.build_optimizer(component, rate_groups(groups, factors, lr))
    optimizer: type[Optimizer] = getattr(torch.optim, component.name)
    accepted = inspect.signature(optimizer).parameters
    arguments = dict(component.arguments)
    if "betas" in arguments:  # Adam refuses integers, even 0
        arguments["betas"] = tuple(map(float, arguments["betas"]))
    if "fused" in accepted and parameters[0].device.type in FUSED_DEVICES:
        arguments["fused"] = True
    groups = decay_groups(parameters, decay if "weight_decay" in accepted else "all")
    if factors and component.name == "LBFGS":
        raise TunecliError(
            "LBFGS has one learning rate for all weights. Remove backbone_lr and layer_decay, or "
            "use another optimizer."
        )
    lr, weight_decay = (
        float(arguments.get(name, accepted[name].default)) if name in accepted else 0.0
        for name in ("lr", "weight_decay")
    )
    divided = rate_groups(groups, factors, lr, by_width, weight_decay)
    return optimizer(divided, **arguments)
