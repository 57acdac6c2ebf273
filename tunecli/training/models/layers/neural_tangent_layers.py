"""The layers of RealMLP, and how they start from training rows.

Holzmüller, Grinsztajn and Steinwart (2024), "Better by Default: Strong Pre-Tuned MLPs and Boosted
Trees on Tabular Data", https://arxiv.org/abs/2407.04491, section 3 and appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tunecli.data.preprocessing.smooth_clip import SmoothClipScaler, smoothly_clipped
from tunecli.training.models.layers.embeddings import OneHotCodes
from tunecli.training.models.layers.plain_layers import check_at_least_one

MOST_ONE_HOT = 10
"""Most codes of a one-hot column: 9, and that of a category that the training part lacks."""
_N_MIXED = 5
"""Number of rows of which a unit's bias is drawn."""


class FeatureScale(nn.Module):
    """Multiplies each feature by a weight of its own, which starts at 1."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, n_features))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class ParametricActivation(nn.Module):
    """Moves each unit between the identity and an activation by a weight, which starts at 1."""

    def __init__(self, activation: nn.Module, n_features: int) -> None:
        super().__init__()
        self.activation = activation
        self.weight = nn.Parameter(torch.ones(1, n_features))

    def forward(self, x: Tensor) -> Tensor:
        activated = cast(Tensor, self.activation(x))
        return x + (activated - x) * self.weight


class PeriodicDense(nn.Module):
    """Embeds each number x as (W₂ cos(2π w₁ x + b₁) + b₂, x), with weights of its own (PBLD).

    Args:
        n_features: number of numbers.
        size: length of the vector of each, at least 2.
        n_frequencies: length of w₁.
        scale: standard deviation of the initial frequencies.
        rectify: apply ReLU to what W₂ gives.
    """

    def __init__(
        self, n_features: int, size: int, n_frequencies: int, scale: float, *, rectify: bool
    ) -> None:
        super().__init__()
        check_at_least_one(n_frequencies=n_frequencies)
        if size < 2:
            raise ValueError(f"num_size must be at least 2, but got {size}.")
        if not scale > 0:
            raise ValueError(f"frequency_scale must be above 0, but got {scale}.")
        limit = 1 / math.sqrt(n_frequencies)
        self.frequencies = nn.Parameter(scale * torch.randn(n_features, 1, n_frequencies))
        phases = torch.empty(n_features, 1, n_frequencies).uniform_(-math.pi, math.pi)
        self.phases = nn.Parameter(phases)
        weight = torch.empty(n_features, n_frequencies, size - 1).uniform_(-limit, limit)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.empty(n_features, 1, size - 1).uniform_(-limit, limit))
        self._rectify = rectify

    def forward(self, x: Tensor) -> Tensor:  # (batch, n_features) -> (batch, n_features * size)
        waves = 2 * math.pi * (x.T.unsqueeze(2) @ self.frequencies)  # (n_features, batch, …)
        vectors = torch.cos(waves + self.phases) @ self.weight + self.bias
        vectors = vectors.relu() if self._rectify else vectors
        return torch.cat([vectors.transpose(0, 1).flatten(1), x], dim=1)


class ScaledCategories(nn.Module):
    """Encodes codes of categories, (n, n_columns) int64, for a linear layer.

    Columns with few categories are one-hot, and their features scaled and clipped like numbers;
    the categories of others are learned vectors.

    Args:
        cardinalities: number of codes of each column.
        embed: length of the vectors.
        codes: those of some training rows, to scale by; None if the scale is loaded.

    Attributes:
        n_features: number of features of all columns.
    """

    def __init__(self, cardinalities: Sequence[int], embed: int, codes: Tensor | None) -> None:
        super().__init__()
        sizes = dict(enumerate(cardinalities))
        self._few = [i for i, n_codes in sizes.items() if n_codes <= MOST_ONE_HOT]
        self._many = [i for i, n_codes in sizes.items() if n_codes > MOST_ONE_HOT]
        n_one_hot = sum(sizes[i] - 1 for i in self._few)
        self.n_features = n_one_hot + embed * len(self._many)
        self.one_hot: nn.Module | None = None
        if self._few:
            self.one_hot = OneHotCodes(tuple(sizes[i] for i in self._few))
            scaler = SmoothClipScaler()
            scaler.fit(self.one_hot(self._of(codes, self._few)).numpy())
            self.register_buffer("center", torch.from_numpy(scaler.center).float())
            self.register_buffer("factor", torch.from_numpy(scaler.factor).float())
            self._limit = scaler.limit
        self.vectors = nn.ModuleList(nn.Embedding(sizes[i], embed) for i in self._many)

    def forward(self, codes: Tensor) -> Tensor:
        parts = []
        if self.one_hot is not None:
            features = self.one_hot(codes[:, self._few])
            scaled = (features - self.get_buffer("center")) * self.get_buffer("factor")
            parts.append(smoothly_clipped(scaled, self._limit))
        for i, vectors in zip(self._many, self.vectors, strict=True):
            parts.append(vectors(codes[:, i]))
        return torch.cat(parts, dim=1)

    @staticmethod
    def _of(codes: Tensor | None, columns: list[int]) -> Tensor:
        if codes is None:
            return torch.zeros(1, len(columns), dtype=torch.int64)
        return codes[:, columns].long()


@torch.no_grad()
def start_linear(layer: nn.Linear, x: Tensor | None) -> Tensor | None:
    """Draw the initial weights of a layer by what it gets for training rows; return its outputs.

    Each unit's weights are normal, and divided by the standard deviation of what they give over
    the rows. Its bias is minus a random mean of that over five rows.

    Args:
        x: inputs of the layer for some training rows, (n, n_in); None draws the weights with
            variance 1 / n_in, and no bias.
    """
    nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.in_features))
    nn.init.zeros_(layer.bias)
    if x is None:
        return None
    deviations = (x @ layer.weight.T).std(0, correction=0)  # 0 if all rows are equal
    layer.weight.div_(torch.where(deviations > 0, deviations, 1.0).unsqueeze(1))
    outputs = x @ layer.weight.T
    layer.bias.copy_(-_mixtures(outputs))
    return outputs + layer.bias


def _mixtures(outputs: Tensor) -> Tensor:
    """Return, for each unit, a random mean of its outputs for some rows, (n_units,)."""
    n_rows, n_units = outputs.shape
    rows = torch.randint(n_rows, (_N_MIXED, n_units))
    shares = torch.empty(_N_MIXED, n_units).exponential_()
    return (outputs.gather(0, rows) * shares / shares.sum(0)).sum(0)
