"""The models a study file can name: tunecli's own, and torchvision's classifiers.

Each takes the shape of one row and the number of outputs, which follow from the data and the loss,
and everything else from the study file. Initial weights come from torch's global random state.
torchvision is imported only when one of its models is built.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules import activation as activations

from tunecli.errors import DataError
from tunecli.study_file.settings import Component


@dataclass(frozen=True)
class Needs:
    """What a model needs of the data.

    Attributes:
        pictures: rows must be (channels, height, width); else any row is flattened.
        smallest: fewest pixels of height and width; 0 where only building the model can tell.
    """

    pictures: bool
    smallest: int = 0


class Linear(nn.Module):
    """One linear layer on the flattened row: linear, logistic or softmax regression."""

    def __init__(self, shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.head = nn.Linear(math.prod(shape), n_outputs)

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, n_outputs)
        return cast(Tensor, self.head(self.flatten(x)))


class MLP(nn.Module):
    """Fully connected layers on the flattened row, and a linear head.

    Each hidden layer is Linear, BatchNorm1d (if wished), activation, Dropout (if above 0).

    Args:
        shape: of one row.
        n_outputs: of the head.
        width: of every hidden layer; or a list with one width a layer, which `depth` then follows.
        depth: hidden layers, at least 1; unused where `width` is a list.
        activation: a class of torch.nn, e.g. ReLU, GELU, SiLU, Tanh.
        dropout: probability of dropping a hidden unit in training. Range [0, 1).
        batch_norm: normalize each hidden layer before its activation.
        residual: add a hidden layer's input to its output where their widths agree.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_outputs: int,
        width: int | list[int] = 128,
        depth: int = 2,
        activation: str = "ReLU",
        dropout: float = 0.0,
        batch_norm: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        _check_at_least_one("depth", depth)
        _check_dropout(dropout)
        widths = [width] * depth if isinstance(width, int) else list(width)
        for value in widths:
            _check_at_least_one("width", value)
        sizes = [math.prod(shape), *widths]
        self.flatten = nn.Flatten()
        self.hidden = nn.Sequential(
            *(
                _dense(n_in, n_out, activation, dropout, batch_norm, residual)
                for n_in, n_out in itertools.pairwise(sizes)
            )
        )
        self.head = nn.Linear(sizes[-1], n_outputs)

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, n_outputs)
        return cast(Tensor, self.head(self.hidden(self.flatten(x))))


class CNN(nn.Module):
    """Convolutions of doubling channels, global average pooling, and a linear head.

    Each block is Conv2d, BatchNorm2d (if wished) and activation, and halves the picture by
    max-pooling while it has at least 4 pixels each way.

    Args:
        shape: (channels, height, width) of one picture, each side at least 8 pixels.
        n_outputs: of the head.
        channels: of the first block; the next ones double it.
        depth: blocks, at least 1.
        kernel: side of the convolutions, at least 1; an odd one keeps the picture's size.
        activation: a class of torch.nn, e.g. ReLU, GELU, SiLU, Tanh.
        dropout: probability of dropping a pooled channel before the head. Range [0, 1).
        batch_norm: normalize each convolution's output before its activation.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_outputs: int,
        channels: int = 16,
        depth: int = 2,
        kernel: int = 3,
        activation: str = "ReLU",
        dropout: float = 0.0,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("depth", depth), ("kernel", kernel)):
            _check_at_least_one(name, value)
        _check_dropout(dropout)
        n_in, side = shape[0], min(shape[1:])
        blocks: list[nn.Module] = []
        for n_out in (channels * 2**block for block in range(depth)):
            blocks += _convolution(n_in, n_out, kernel, activation, batch_norm)
            if side >= 4:
                blocks.append(nn.MaxPool2d(2))
                side //= 2
            n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))
        self.head = nn.Linear(n_in, n_outputs)
        self.to(memory_format=torch.channels_last)  # 1.3 × as fast

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, n_outputs)
        x = x.contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.head(self.pool(self.blocks(x))))


_OWN: dict[str, type[nn.Module]] = {"Linear": Linear, "MLP": MLP, "CNN": CNN}
_NEEDS = {"Linear": Needs(False), "MLP": Needs(False), "CNN": Needs(True, smallest=8)}


def needs(name: str) -> Needs:
    """What the model of that name needs of the data; torchvision's all classify pictures."""
    return _NEEDS.get(name, Needs(pictures=True))


def check_fit(name: str, shape: tuple[int, ...]) -> None:
    """Refuse a model that cannot take rows of `shape`.

    Raises:
        DataError: what it needs, what the data is, what to use.
    """
    wanted = needs(name)
    if wanted.pictures and len(shape) != 3:
        raise DataError(
            f"{name} takes pictures, but each row of the data has {math.prod(shape)} features. "
            "Use MLP or Linear."
        )
    if wanted.smallest and min(shape[1:]) < wanted.smallest:
        raise DataError(
            f"{name} takes pictures of at least {wanted.smallest} × {wanted.smallest} pixels, but "
            f"these have {shape[1]} × {shape[2]}. Use MLP or Linear, or larger pictures."
        )


def build_model(component: Component, shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    """The model that a study file names, with fresh weights from torch's global random state.

    Args:
        component: Linear, MLP, CNN, or a classifier of torchvision.models; and its arguments.
        shape: of one row: (n_features,) or (channels, height, width).
        n_outputs: as the loss wants it (`losses.n_outputs`).

    Raises:
        DataError: the data is not what the model needs.
        TypeError, ValueError: an argument is not what the model takes.
    """
    check_fit(component.name, shape)
    if component.name in _OWN:
        return _OWN[component.name](shape=shape, n_outputs=n_outputs, **component.arguments)
    return _torchvision_model(component, shape, n_outputs)


def _torchvision_model(component: Component, shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    from torchvision import models

    if component.name not in models.list_models(module=models):
        raise ValueError(
            f"{component.name} is neither Linear, MLP, CNN nor a classifier of torchvision.models."
        )
    arguments = {
        **_filled_in(component.name, shape),
        **component.arguments,
        "weights": None,
        "num_classes": n_outputs,
    }
    model = cast(nn.Module, models.get_model(component.name, **arguments))
    _take_channels(model, shape[0])
    return model


def _filled_in(name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """What torchvision cannot know of the data, and what makes training outputs plain tensors."""
    if name in ("googlenet", "inception_v3"):
        # Auxiliary heads return tuples in training; leaving init_weights open warns.
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": shape[1]}
    if name == "maxvit_t":
        return {"input_size": shape[1:]}
    return {}


def _take_channels(model: nn.Module, n_channels: int) -> None:
    """Replace the first convolution, in place, where pictures have other than its channels.

    Its settings and bias stay; its weights are drawn with the spread that the model gave them.
    """
    name, first = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels == n_channels:
        return
    replacement = nn.Conv2d(
        n_channels,
        first.out_channels,
        kernel_size=cast(tuple[int, int], first.kernel_size),
        stride=cast(tuple[int, int], first.stride),
        padding=cast(tuple[int, int], first.padding),
        dilation=cast(tuple[int, int], first.dilation),
        bias=first.bias is not None,
        padding_mode=first.padding_mode,
    )
    with torch.no_grad():
        nn.init.normal_(replacement.weight, std=first.weight.std().item())
        if first.bias is not None and replacement.bias is not None:
            replacement.bias.copy_(first.bias)
    model.set_submodule(name, replacement)


class _Residual(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.layers(x))


def _dense(
    n_in: int, n_out: int, activation: str, dropout: float, batch_norm: bool, residual: bool
) -> nn.Module:
    # A batch norm subtracts a bias in front of it again.
    layers: list[nn.Module] = [nn.Linear(n_in, n_out, bias=not batch_norm)]
    if batch_norm:
        layers.append(nn.BatchNorm1d(n_out))
    layers.append(_activation(activation))
    if dropout:
        layers.append(nn.Dropout(dropout))
    block = nn.Sequential(*layers)
    return _Residual(block) if residual and n_in == n_out else block


def _convolution(
    n_in: int, n_out: int, kernel: int, activation: str, batch_norm: bool
) -> Sequence[nn.Module]:
    # As in `_dense`, no bias in front of a batch norm.
    convolution = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, bias=not batch_norm)
    norm = [nn.BatchNorm2d(n_out)] if batch_norm else []
    return [convolution, *norm, _activation(activation)]


def _activation(name: str) -> nn.Module:
    if name not in activations.__all__:
        raise ValueError(f"activation must be one of torch.nn such as ReLU, but got {name!r}.")
    return cast(nn.Module, getattr(nn, name)())


def _check_at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, but got {value}.")


def _check_dropout(dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, but got {dropout}.")
