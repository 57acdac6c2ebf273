"""RealMLP: a multilayer perceptron for tables whose defaults were tuned on many data sets."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

from tunecli.training.models.dense import NO_COLUMNS
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.models.layers.neural_tangent_layers import (
    FeatureScale,
    ParametricActivation,
    PeriodicDense,
    ScaledCategories,
    start_linear,
)
from tunecli.training.models.layers.plain_layers import (
    activation_layer,
    check_at_least_one,
    check_dropout,
)
from tunecli.training.models.parametrization.width_factors import (
    WidthScaled,
    neural_tangent_factors,
)

MOST_ROWS = 8_192
"""Most training rows by which the initial weights are drawn."""


class RealMLP(WidthScaled):
    """The multilayer perceptron RealMLP-TD.

    Holzmüller, Grinsztajn and Steinwart (2024), "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", https://arxiv.org/abs/2407.04491. Its learning rates are those
    of the neural tangent parametrization. It expects `data.scale: smooth_clip`.

    Args:
        shape: shape of one row.
        n_outputs: number of outputs.
        width: width of every hidden layer; or a list with one width per layer, which sets the
            depth.
        depth: number of hidden layers, at least 1; ignored if `width` is a list.
        activation: a class of torch.nn: SELU for classification, Mish for regression.
        parametric: learn how far each unit's activation departs from the identity.
        dropout: probability of dropping a hidden unit in training. Range [0, 1).
        embed: size of the vector per category of columns with more than 9; the others are one-hot.
        num_embeddings: embedding of numbers as vectors: `pbld` (periodic, bias, linear, dense), or
            `pblrd`, with ReLU.
        num_size: size of those vectors, at least 2.
        n_frequencies: number of frequencies of each number.
        frequency_scale: standard deviation of the initial frequencies; sensitive.
        scale_lr, bias_lr, activation_lr, embedding_lr: factors on the learning rates of the
            features' scales, biases, parametric activations and embeddings of numbers.
        columns: the categorical features, and training rows to start from.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        n_outputs: int,
        width: int | list[int] = 256,
        depth: int = 3,
        activation: str = "SELU",
        parametric: bool = True,
        dropout: float = 0.15,
        embed: int = 8,
        num_embeddings: Literal["pbld", "pblrd"] | None = "pbld",
        num_size: int = 4,
        n_frequencies: int = 16,
        frequency_scale: float = 0.1,
        scale_lr: float = 6.0,
        bias_lr: float = 0.1,
        activation_lr: float = 0.1,
        embedding_lr: float = 0.1,
        columns: Columns = NO_COLUMNS,
    ) -> None:
        super().__init__()
        check_at_least_one(depth=depth, embed=embed)
        check_dropout(dropout=dropout)
        widths = [width] * depth if isinstance(width, int) else list(width)
        for value in widths:
            check_at_least_one(width=value)
        rows = columns.spread_rows(MOST_ROWS)
        self.n_numbers = n_features = columns.n_cont_features(math.prod(shape))
        self.numbers: nn.Module | None = None
        if num_embeddings is not None and self.n_numbers:
            periods = (n_frequencies, frequency_scale)
            rectify = num_embeddings == "pblrd"
            self.numbers = PeriodicDense(self.n_numbers, num_size, *periods, rectify=rectify)
            n_features *= num_size
        self.categories: nn.Module | None = None
        if columns.cat_cardinalities:
            codes = None if rows is None else rows[:, self.n_numbers :]
            categories = ScaledCategories(columns.cat_cardinalities, embed, codes)
            self.categories, n_features = categories, n_features + categories.n_features
        self.front_scale = FeatureScale(n_features)
        sizes = itertools.pairwise([n_features, *widths])
        self.hidden = nn.Sequential(
            *(_block(n_in, n_out, activation, parametric, dropout) for n_in, n_out in sizes)
        )
        self.head = nn.Linear(widths[-1], n_outputs)
        self._start(rows)
        self.width_factors = neural_tangent_factors(self)
        by_kind = {
            FeatureScale: scale_lr,
            ParametricActivation: activation_lr,
            PeriodicDense: embedding_lr,
        }
        self.rate_factors = dict(_rates(self, by_kind, bias_lr))

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, n_outputs)
        return cast(Tensor, self.head(self.hidden(self._features(x))))

    def _features(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        numbers, codes = x[:, : self.n_numbers], x[:, self.n_numbers :]
        parts = [numbers if self.numbers is None else self.numbers(numbers)]
        if self.categories is not None:
            parts.append(self.categories(codes.long()))
        return cast(Tensor, self.front_scale(torch.cat(parts, dim=1)))

    @torch.no_grad()
    def _start(self, rows: Tensor | None) -> None:
        """Draw the initial weights layer by layer, by what each gets for the rows."""
        x = None if rows is None else self._features(rows)
        blocks = [*cast(Iterable[nn.Sequential], self.hidden), nn.Sequential(self.head)]
        for linear, *rest in blocks:
            x = start_linear(cast(nn.Linear, linear), x)
            for layer in rest:
                x = x if x is None or isinstance(layer, nn.Dropout) else layer(x)


def _block(
    n_in: int, n_out: int, activation: str, parametric: bool, dropout: float
) -> nn.Sequential:
    act = activation_layer(activation)
    layers = [nn.Linear(n_in, n_out), ParametricActivation(act, n_out) if parametric else act]
    return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []))


def _rates(
    model: nn.Module, by_kind: Mapping[type[nn.Module], float], of_biases: float
) -> Iterator[tuple[str, float]]:
    """Yield names of parameters and the factors on their learning rates."""
    for at, module in model.named_modules():
        for name, _ in module.named_parameters(at, recurse=False):
            if type(module) in by_kind:
                yield name, by_kind[type(module)]
            elif isinstance(module, nn.Linear) and name.endswith("bias"):
                yield name, of_biases
