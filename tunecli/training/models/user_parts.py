"""Build the user's own models, losses, optimizers, schedules and metrics, and check them.

Contracts:
    model: a class or function that returns a `torch.nn.Module`; arguments named after the data are
        filled in (`allowed_code.FILLED_IN`). The module takes whole rows; or numbers and codes
        separately, if its constructor takes `cat_cardinalities` and its `forward` has two
        arguments without default (`TwoParts`). tunecli handles `freeze`, `backbone_lr` and
        `layer_decay` (`models.fine_tuning`), unless the constructor has arguments of these names.
        Its outputs are (batch, n_outputs), or (batch, k, n_outputs) if it predicts each row k
        times: then the loss is the mean over all k, and predictions are means.
    loss: a class or function; an instance or the function, called with (outputs, y) and its
        arguments, returns the mean loss of the batch. Outputs are (batch, n_classes) and y class
        indices, or both are (batch,) values with standardized targets; of several targets both
        are (batch, n_targets).
    optimizer: called with (parameters, arguments), returns a `torch.optim.Optimizer`.
    schedule: called with (optimizer, arguments), returns a scheduler.
    metric: a function of (y_true, y_pred) and its arguments that returns a number. y_pred are
        class indices or values, (n,); of several targets values or labels, (n, n_targets); or
        probabilities, if the parameter is named y_score, y_prob, y_proba or probabilities.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from tunecli.data.rows.dataset import TokenForm
from tunecli.data.user_code.import_user_code import blaming, load_object
from tunecli.errors import UserCodeError
from tunecli.study_file.catalogue.allowed_code import FILLED_IN, FOR_TUNECLI
from tunecli.study_file.settings.settings import Component

_PROBABILITIES = ("y_score", "y_prob", "y_proba", "probabilities")


def build_user_model(
    component: Component,
    shape: tuple[int, ...],
    n_outputs: int,
    cat_cardinalities: tuple[int, ...] = (),
    tokens: TokenForm | None = None,
) -> nn.Module:
    """Build the user's model; arguments named after the data are filled in.

    Raises:
        UserCodeError: the code raises, or does not return a module.
    """
    make = load_object(component.name)
    features = shape if tokens is None else (tokens.n_features,)
    filled = _of_the_data(features, n_outputs, cat_cardinalities) | _of_tokens(tokens)
    names = [name for name in FILLED_IN["model"] if name in filled]
    wanted = {name: filled[name] for name in names if name in _parameters(make)}
    handled = for_tunecli(component)
    given = {name: value for name, value in component.arguments.items() if name not in handled}
    with blaming(component.name):
        model = make(**{**wanted, **given})
    if not isinstance(model, nn.Module):
        raise _wrong(component, "a model must be a torch.nn.Module", model)
    if tokens is None and user_embeds_categories(component) and _takes_two(model):
        return TwoParts(model, len(cat_cardinalities))
    return model


class TwoParts(nn.Module):
    """Wraps a model that takes numbers and codes separately, so that it takes whole rows.

    Args:
        model: a model called with (rows, n_cont_features) float and (rows, n_categories) int64,
            each None if rows have no such columns.
        n_categories: number of the last columns, which hold the codes.
    """

    def __init__(self, model: nn.Module, n_categories: int) -> None:
        super().__init__()
        self.model = model
        self._n_categories = n_categories

    def forward(self, x: Tensor) -> Any:
        """Return the model's outputs for rows, (rows, n_columns), or for pictures."""
        if not self._n_categories:
            return self.model(x, None)
        n_numbers = x.shape[1] - self._n_categories
        codes = x[:, n_numbers:].long()
        return self.model(x[:, :n_numbers] if n_numbers else None, codes)


def for_tunecli(component: Component) -> dict[str, Any]:
    """Return the arguments of a user's model that tunecli handles, not its constructor."""
    own = _parameters(load_object(component.name))
    names = [argument.name for argument in FOR_TUNECLI["model"] if argument.name not in own]
    return {name: component.arguments[name] for name in names if name in component.arguments}


def user_embeds_categories(component: Component) -> bool:
    """Return whether the user's model takes categorical columns as integer codes."""
    return "cat_cardinalities" in _parameters(load_object(component.name))


def build_user_loss(component: Component) -> Callable[[Tensor, Tensor], Any]:
    """Return the user's loss as a function of outputs and targets."""
    loss = load_object(component.name)
    if not inspect.isclass(loss):
        return partial(loss, **component.arguments)
    instance = _made(component)
    if not callable(instance):
        raise _wrong(component, "a loss must be callable as loss(outputs, y)", instance)
    return instance


def checked_loss(component: Component, value: Any) -> Tensor:
    """Return the value of a loss as a scalar tensor; refuse anything else."""
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise _wrong(component, "a loss must return one tensor with a single number", value)
    return value.reshape(())


def build_optimizer(component: Component, groups: Sequence[dict[str, Any]]) -> Optimizer:
    """Build the user's optimizer for parameter groups."""
    optimizer = _made(component, groups)
    if not isinstance(optimizer, Optimizer):
        raise _wrong(component, "an optimizer must be a torch.optim.Optimizer", optimizer)
    return optimizer


def build_schedule(component: Component, optimizer: Optimizer) -> LRScheduler:
    """Build the user's schedule for an optimizer."""
    schedule = _made(component, optimizer)
    if not isinstance(schedule, LRScheduler | lr_scheduler.ReduceLROnPlateau):
        rule = "a schedule must be a torch.optim.lr_scheduler.LRScheduler"
        raise _wrong(component, rule, schedule)
    return schedule


def _made(component: Component, *arguments: object) -> object:
    make = load_object(component.name)
    with blaming(component.name):
        return make(*arguments, **component.arguments)


def user_metric(
    component: Component,
    y_true: NDArray[np.generic],
    predictions: NDArray[np.floating],
    decided: NDArray[Any],
) -> Any:
    """Return the user's metric of predictions, not checked yet (see `score_guard`).

    Args:
        y_true: (n,) class indices, or values in the original unit; of several targets
            (n, n_targets).
        predictions: probabilities, or values in the original unit.
        decided: class indices, values or labels, in the shape of `y_true`.
    """
    metric = load_object(component.name)
    names = [*_parameters(metric)]
    given = predictions if names[1:2] and names[1] in _PROBABILITIES else decided
    with blaming(component.name):
        return metric(y_true, given, **component.arguments)


def _of_the_data(
    shape: tuple[int, ...], n_outputs: int, cat_cardinalities: tuple[int, ...]
) -> dict[str, Any]:
    """Return the arguments that are named after the data."""
    filled: dict[str, Any] = {
        "in_features": math.prod(shape),
        "num_classes": n_outputs,
        "out_features": n_outputs,
        "cat_cardinalities": list(cat_cardinalities),
        "n_cont_features": math.prod(shape) - len(cat_cardinalities),
        "shape": shape,
        "n_outputs": n_outputs,
        "in_channels": shape[0],
        "image_size": None,
    }
    if len(shape) == 3:
        filled["image_size"] = shape[1] if shape[1] == shape[2] else tuple(shape[1:])
    return filled


def _of_tokens(tokens: TokenForm | None) -> dict[str, Any]:
    """Return the arguments that are named after tokens; none for other rows."""
    if tokens is None:
        return {}
    return {"vocab_size": tokens.vocab_size, "padding_idx": tokens.pad}


def _takes_two(model: nn.Module) -> bool:
    """Return whether a model's `forward` has two arguments without default."""
    needed = [
        p
        for p in inspect.signature(model.forward).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len(needed) == 2


def _parameters(make: Callable[..., Any]) -> Sequence[str]:
    try:
        return list(inspect.signature(make).parameters)
    except (TypeError, ValueError):  # some builtins have no signature
        return []


def _wrong(component: Component, rule: str, got: object) -> UserCodeError:
    what = f"a tensor of shape {tuple(got.shape)}" if isinstance(got, Tensor) else type(got)
    value = what if isinstance(what, str) else f"an object of the class {what.__name__}"
    return UserCodeError(f"{component.name}: {rule}, but got {value}.")
