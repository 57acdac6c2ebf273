"""What the maximal update parametrization (`parametrization: mup`) can be combined with.

Yang et al. (2022), arXiv:2203.03466: its table has learning rates for SGD, and for Adam and other
optimizers whose steps have the same size for gradients of any scale (appendix B.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tunecli.study_file.catalogue.value_types import is_number
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.problems import Conflict
from tunecli.study_file.text.suggestions import listed

SGD_LIKE = ("SGD",)
ADAM_LIKE = ("AdamW", "Adam", "NAdam", "Adamax", "Adagrad", "RMSprop")
NEURAL_TANGENT = ("RealMLP",)
"""Models in the neural tangent parametrization, whose learning rates also differ by weight."""
ARCHITECTURES = ("gpt2",)
"""Architectures of transformers whose parameters are known to it."""


BASE_WIDTH = 128
"""The default of `base_width`."""


def base_width(model: Mapping[str, Any]) -> int | None:
    """Return the base width of a model by its arguments; None without this parametrization."""
    if model.get("parametrization") != "mup":
        return None
    return int(model.get("base_width", BASE_WIDTH))


def mup_conflicts(config: TrialConfig) -> Iterator[Conflict]:
    """Yield what a parametrization with own learning rates has no rule for."""
    if base_width(config.model.arguments) is not None:
        yield from _of_model(config.model)
        by = _Rates("mup", "parametrization: mup", "remove parametrization", "parametrization")
        yield from _of_rates(config, by)
    if config.model.name in NEURAL_TANGENT:
        name = config.model.name
        yield from _of_rates(config, _Rates(name, name, "use MLP"))


class _Rates(NamedTuple):
    """What sets a learning rate for each weight: in messages, a way out, and its argument."""

    short: str
    full: str
    way_out: str
    argument: str | None = None

    @property
    def path(self) -> Path:
        return ("model",) if self.argument is None else ("model", self.argument)


def _of_rates(config: TrialConfig, by: _Rates) -> Iterator[Conflict]:
    yield from _of_optimizer(config.optimizer, by)
    if config.schedule is not None and _number(config.schedule, "eta_min") > 0:
        message = (
            f"eta_min is one rate for all weights, but with {by.full} their rates differ. Write "
            "eta_min: 0."
        )
        yield Conflict(("schedule", "eta_min"), message, (by.path,))


def _of_model(model: Component) -> Iterator[Conflict]:
    given = {name: value for name, value in model.arguments.items() if value is not None}
    path = ("model", "parametrization")
    known = " or ".join(ARCHITECTURES)
    if "pretrained" in given:
        message = f"mup starts from random weights, not from pretrained ones. Use config: {known}."
        yield Conflict(path, message, (("model", "pretrained"),))
    if given.get("config", ARCHITECTURES[0]) not in ARCHITECTURES:
        message = f"mup supports only config: {known}, but got {given['config']}."
        yield Conflict(path, message, (("model", "config"),))
    if "adapter" in given:
        message = "mup trains all weights, but an adapter freezes them. Remove one of them."
        yield Conflict(path, message, (("model", "adapter"),))
    if model.name == "TransformerEncoder" and "dim_feedforward" not in given:
        message = (
            "mup needs dim_feedforward, which must grow with d_model. Write "
            "dim_feedforward: 2 or 4 times d_model, in the same ratio in the narrow and the wide "
            "study."
        )
        yield Conflict(path, message, (("model", "d_model"),))


def _of_optimizer(optimizer: Component, by: _Rates) -> Iterator[Conflict]:
    model = (by.path,)
    if optimizer.name not in (*ADAM_LIKE, *SGD_LIKE):
        message = (
            f"{by.short} has no learning rates for {optimizer.name}. Use "
            f"{listed((*ADAM_LIKE, *SGD_LIKE), last='or')}, or {by.way_out}."
        )
        yield Conflict(("optimizer",), message, model)
    elif _number(optimizer, "weight_decay") > 0 and not _decays_by_rate(optimizer):
        message = (
            f"{optimizer.name} adds weight_decay to the gradient, for which {by.short} has no "
            "rule. Use AdamW, or write weight_decay: 0."
        )
        yield Conflict(("optimizer", "weight_decay"), message, model)


def _decays_by_rate(optimizer: Component) -> bool:
    """Return whether a step takes away the share lr · weight_decay of a weight."""
    is_decoupled = optimizer.arguments.get("decoupled_weight_decay") is True
    return optimizer.name in ("AdamW", *SGD_LIKE) or is_decoupled


def _number(component: Component, argument: str) -> float:
    value = component.arguments.get(argument, 0)
    return float(value) if is_number(value) else 0.0
