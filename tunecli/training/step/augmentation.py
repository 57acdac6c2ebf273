"""Augment training batches: change single pictures, and mix rows with others.

All random numbers come from the fold's generators: the global ones hold its state while it trains
alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from tunecli.data.rows.features import Features
from tunecli.data.user_code.import_user_code import blaming, load_object
from tunecli.errors import TunecliError
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.state.random_state import GLOBAL, Draws
from tunecli.training.step.batches import Batch

Change = Callable[[Tensor], Tensor]

_OF_THE_SIZE = ("RandomCrop", "RandomResizedCrop")


class Augmentation:
    """Changes pictures, each with its own draw, on kornia's scale from 0 (black) to 1 (white)."""

    def __init__(self, components: Sequence[Component], x: Features) -> None:
        """Prepare to change pictures like those of `x`; their scale is undone and reapplied."""
        _check_pictures("data.augment", x.shape)
        _refuse_whole("data.augment", x)
        self._changes = [(c.name, built(c, x.shape)) for c in components]
        self._black, white = x.ends()
        self._span = white - self._black
        self._span[self._span == 0] = 1  # a constant channel

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Change a batch, (n, channels, height, width), as models get it."""
        black, span = self._black.to(x.device), self._span.to(x.device)
        values = (x - black).div_(span)
        for name, change in self._changes:
            values = _applied(name, change, values)
        return values.mul(span).add_(black)


def built(component: Component, shape: tuple[int, ...]) -> Change:
    """Build one augmentation, from kornia or the user's own.

    Args:
        shape: shape of one row, (channels, height, width).
    """
    if is_code(component.name):
        make = load_object(component.name)
        with blaming(component.name):
            own: Change = make(**component.arguments)
        return own
    from kornia import augmentation  # slow to import, and few studies need it

    filled = {"size": tuple(shape[1:])} if component.name in _OF_THE_SIZE else {}
    arguments = {name: _as_tuple(value) for name, value in component.arguments.items()}
    change: Change = getattr(augmentation, component.name)(**{**filled, **arguments})
    return change


class BatchChange:
    """Applies augmentation, mixup and cutmix as a configuration sets them.

    Attributes:
        is_any: whether it sets any of them.
    """

    def __init__(self, config: TrialConfig, x: Features, n_codes: int) -> None:
        """Prepare to change batches of `x`, whose last `n_codes` features are codes."""
        training = config.training
        for setting, value in (
            ("training.mixup", training.mixup),
            ("training.input_noise", training.input_noise),
        ):
            if value:
                _refuse_whole(setting, x)
        if training.cutmix:
            _check_pictures("training.cutmix", x.shape)
        if training.mixup and n_codes:
            rule = f"{config.model.name} takes categories as codes, which cannot be mixed"
            raise TunecliError(f"training.mixup: {rule}. Write mixup: 0.")
        self._mixup, self._cutmix = training.mixup, training.cutmix
        self._augment = Augmentation(config.data.augment, x) if config.data.augment else None
        self.is_any = bool(self._mixup or self._cutmix or self._augment)

    def __call__(self, batch: Batch, draws: Draws = GLOBAL) -> Batch:
        """Return the batch as it is trained on; augmentation draws from the global generators."""
        x, y = batch.x, batch.y
        if self._augment is not None:
            x = self._augment(x)
            batch = batch._replace(x=x)
        if self._cutmix and (not self._mixup or draws.of_numpy.random() < 0.5):
            return cut_and_mixed(x, y, self._cutmix, batch.weights, draws)
        if self._mixup:
            return mixed(x, y, self._mixup, batch.weights, draws)
        return batch


def _refuse_whole(setting: str, x: Features) -> None:
    """Refuse tokens and unscaled integers: they cannot be mixed, or changed by a fraction."""
    if x.lengths is not None:
        raise TunecliError(f"{setting}: rows of text cannot be mixed or changed. Remove it.")
    if x.are_whole:
        raise TunecliError(
            f"{setting}: the model gets unscaled integers, which cannot be mixed or changed. "
            "Remove it, or scale the numbers with data.scale."
        )


def mixed(
    x: Tensor, y: Tensor, alpha: float, weights: Tensor | None = None, draws: Draws = GLOBAL
) -> Batch:
    """Mixup: mix all rows with others of their batch, by one share (Zhang et al. 2018)."""
    share = float(draws.of_numpy.beta(alpha, alpha))
    order = torch.randperm(len(y), generator=draws.of_torch).to(x.device)
    return _of_pairs(torch.lerp(x[order], x, share), y, share, weights, order)


def cut_and_mixed(
    x: Tensor, y: Tensor, alpha: float, weights: Tensor | None = None, draws: Draws = GLOBAL
) -> Batch:
    """CutMix: paste a rectangle of another picture, at one position for all (Yun et al. 2019).

    Args:
        x: (n, channels, height, width).
    """
    height, width = x.shape[-2:]
    side = math.sqrt(1 - float(draws.of_numpy.beta(alpha, alpha)))
    top, bottom = _stretch(height, side, draws)
    left, right = _stretch(width, side, draws)
    order = torch.randperm(len(y), generator=draws.of_torch).to(x.device)
    x = x.clone()
    x[..., top:bottom, left:right] = x[order, ..., top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / (height * width)
    return _of_pairs(x, y, share, weights, order)


def _of_pairs(x: Tensor, y: Tensor, share: float, weights: Tensor | None, order: Tensor) -> Batch:
    """Return the batch of rows `x`, each mixed with the row at its position in `order`."""
    others = None if weights is None else weights[order]
    return Batch(x, y, y[order], share, weights, others)


def _stretch(length: int, side: float, draws: Draws) -> tuple[int, int]:
    """Return the range of pixels around a random centre, clipped to the picture."""
    middle = int(draws.of_numpy.randint(length))
    half = int(length * side) // 2
    return max(0, middle - half), min(length, middle + half)


def _applied(name: str, change: Change, values: Tensor) -> Tensor:
    with blaming(name) if is_code(name) else nullcontext():
        changed = change(values)
    if not isinstance(changed, Tensor) or changed.shape != values.shape:
        shape = list(changed.shape) if isinstance(changed, Tensor) else type(changed).__name__
        rule = f"data.augment.{name}: batches must keep their shape {list(values.shape)}"
        raise TunecliError(f"{rule}, but got {shape}. Set the size to that of the data.")
    return changed


def _check_pictures(setting: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 3:
        raise TunecliError(f"{setting}: needs pictures, but rows have shape {shape}. Remove it.")


def _as_tuple(value: Any) -> Any:
    """Return lists as tuples, which kornia requires."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
