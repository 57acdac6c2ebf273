"""tunecli's own convolutional network for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tunecli.training.models.layers.plain_layers import (
    activation_layer,
    check_at_least_one,
    check_dropout,
)


class CNN(nn.Module):
    """Convolutions of doubling channels, global average pooling, and a linear head.

    Each block is Conv2d, BatchNorm2d (optional) and activation, and halves the picture by
    max-pooling while each side has at least 4 pixels.

    Args:
        shape: (channels, height, width) of one picture, each side at least 8 pixels.
        n_outputs: number of outputs.
        channels: channels of the first block; each further block doubles them.
        depth: number of blocks, at least 1.
        kernel: side of the kernels, at least 1; odd kernels keep the picture's size.
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
        check_at_least_one(channels=channels, depth=depth, kernel=kernel)
        check_dropout(dropout=dropout)
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
        self.to(memory_format=torch.channels_last)  # 1.3 times as fast

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, n_outputs)
        x = x.contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.head(self.pool(self.blocks(x))))


def _convolution(
    n_in: int, n_out: int, kernel: int, activation: str, batch_norm: bool
) -> Sequence[nn.Module]:
    # A batch norm cancels a bias before it.
    convolution = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, bias=not batch_norm)
    norm = [nn.BatchNorm2d(n_out)] if batch_norm else []
    return [convolution, *norm, activation_layer(activation)]
