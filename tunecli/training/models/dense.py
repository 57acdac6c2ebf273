"""tunecli's own models for tables; pictures are flattened."""

from __future__ import annotations

import itertools
import math
from typing import Literal, cast

from torch import Tensor, nn

from tunecli.training.models.layers.embeddings import Columns, RowEmbedding
from tunecli.training.models.layers.plain_layers import (
    Residual,
    activation_layer,
    check_at_least_one,
    check_dropout,
)
from tunecli.training.models.parametrization.width_factors import WidthScaled, mlp_factors

NO_COLUMNS = Columns()


class Linear(nn.Module):
    """One linear layer on the flattened row: linear, logistic or softmax regression."""

    def __init__(self, shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.head = nn.Linear(math.prod(shape), n_outputs)

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, n_outputs)
        return cast(Tensor, self.head(self.flatten(x)))


class MLP(WidthScaled):
    """Fully connected layers on the flattened row, and a linear head.

    Each hidden layer is Linear, BatchNorm1d (optional), activation, Dropout (if above 0).

    Args:
        shape: shape of one row.
        n_outputs: number of outputs.
        width: width of every hidden layer; or a list with one width per layer, which sets the
            depth.
        depth: number of hidden layers, at least 1; ignored if `width` is a list.
        activation: a class of torch.nn, e.g. ReLU, GELU, SiLU, Tanh.
        dropout: probability of dropping a hidden unit in training. Range [0, 1).
        batch_norm: normalize each hidden layer before its activation.
        residual: add a hidden layer's input to its output if their widths are equal.
        embed: size of the vector per category; none for one-hot columns.
        num_embeddings: embedding of numbers as vectors: periodic or piecewise_linear.
        num_size: size of those vectors.
        n_bins: bins for piecewise_linear: quantiles of the fold's training part.
        n_frequencies: number of frequencies for periodic.
        frequency_scale: standard deviation of the initial frequencies for periodic; sensitive.
        parametrization: `mup` scales initial weights and learning rates with the width, so that
            the best learning rate is that of a narrow network.
        base_width: the width at which `mup` equals `standard`.
        columns: the categorical features, and training rows to compute bins from.
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
        embed: int | None = None,
        num_embeddings: Literal["periodic", "piecewise_linear"] | None = None,
        num_size: int = 24,
        n_bins: int = 48,
        n_frequencies: int = 48,
        frequency_scale: float = 0.01,
        parametrization: Literal["standard", "mup"] = "standard",
        base_width: int = 128,
        columns: Columns = NO_COLUMNS,
    ) -> None:
        super().__init__()
        check_at_least_one(depth=depth, base_width=base_width)
        check_dropout(dropout=dropout)
        widths = [width] * depth if isinstance(width, int) else list(width)
        for value in widths:
            check_at_least_one(width=value)
        numbers = (num_embeddings, num_size, n_bins, n_frequencies, frequency_scale)
        self.embedding = RowEmbedding(shape, columns, embed, *numbers)
        sizes = [self.embedding.n_features, *widths]
        self.hidden = nn.Sequential(
            *(
                _dense(n_in, n_out, activation, dropout, batch_norm, residual)
                for n_in, n_out in itertools.pairwise(sizes)
            )
        )
        self.head = nn.Linear(sizes[-1], n_outputs)
        if parametrization == "mup":
            self.scale_by_width(mlp_factors(self.hidden, self.head, base_width))

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, n_outputs)
        return cast(Tensor, self.head(self.hidden(self.embedding(x))))


class ResNet(nn.Module):
    """The ResNet for tables by Gorishniy et al. (2021), in its authors' implementation.

    "Revisiting Deep Learning Models for Tabular Data", section 3.2, arXiv:2106.11959. Each block
    adds to its input: BatchNorm1d, Linear, ReLU, Dropout, Linear, Dropout.

    Args:
        shape: shape of one row.
        n_outputs: number of outputs.
        width: width of the blocks' input and output.
        depth: number of blocks, at least 1.
        hidden_factor: hidden units per block, as a multiple of `width`.
        dropout: probability of dropping a hidden unit in training. Range [0, 1).
        residual_dropout: probability of dropping a unit of a block's output. Range [0, 1).
        embed: size of the vector per category; none for one-hot columns.
        num_embeddings: embedding of numbers as vectors: periodic or piecewise_linear.
        num_size: size of those vectors.
        n_bins: bins for piecewise_linear: quantiles of the fold's training part.
        n_frequencies: number of frequencies for periodic.
        frequency_scale: standard deviation of the initial frequencies for periodic; sensitive.
        columns: the categorical features, and training rows to compute bins from.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_outputs: int,
        width: int = 192,
        depth: int = 3,
        hidden_factor: float = 2.0,
        dropout: float = 0.25,
        residual_dropout: float = 0.0,
        embed: int | None = None,
        num_embeddings: Literal["periodic", "piecewise_linear"] | None = None,
        num_size: int = 24,
        n_bins: int = 48,
        n_frequencies: int = 48,
        frequency_scale: float = 0.01,
        columns: Columns = NO_COLUMNS,
    ) -> None:
        from rtdl_revisiting_models import ResNet as Blocks

        super().__init__()
        hidden = int(width * hidden_factor)
        check_at_least_one(width=width, depth=depth)
        check_at_least_one(**{"width times hidden_factor": hidden})
        check_dropout(dropout=dropout, residual_dropout=residual_dropout)
        numbers = (num_embeddings, num_size, n_bins, n_frequencies, frequency_scale)
        self.embedding = RowEmbedding(shape, columns, embed, *numbers)
        self.blocks = Blocks(
            d_in=self.embedding.n_features,
            d_out=n_outputs,
            n_blocks=depth,
            d_block=width,
            d_hidden=hidden,
            d_hidden_multiplier=None,
            dropout1=dropout,
            dropout2=residual_dropout,
        )

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, n_outputs)
        return cast(Tensor, self.blocks(self.embedding(x)))


def _dense(
    n_in: int, n_out: int, activation: str, dropout: float, batch_norm: bool, residual: bool
) -> nn.Module:
    # A batch norm cancels a bias before it.
    layers: list[nn.Module] = [nn.Linear(n_in, n_out, bias=not batch_norm)]
    if batch_norm:
        layers.append(nn.BatchNorm1d(n_out))
    layers.append(activation_layer(activation))
    if dropout:
        layers.append(nn.Dropout(dropout))
    block = nn.Sequential(*layers)
    return Residual(block) if residual and n_in == n_out else block
