"""Let weights share a few values: k-means within each layer, and training of the shared values.

Han et al. (2016), "Deep Compression", arXiv:1510.00149, section 3: centroids start evenly spaced
between the smallest and the largest weight, since the few large weights matter; a centroid's
gradient is the sum of its weights' gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tunecli.training.compression.codes import Codes
from tunecli.training.compression.compressible_layers import weight_of, weighted_layers
from tunecli.training.compression.packing import takes_less
from tunecli.training.compression.pruning import Masked

MOST_ROUNDS = 100


class Shared(nn.Module):
    """A weight made of a table's values; training changes the table.

    The table is followed by a constant zero, for pruned weights.
    """

    index: Tensor
    zero: Tensor

    def __init__(self, table: Tensor, index: Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index)
        self.register_buffer("zero", table.new_zeros(1))
        self._table = table

    def forward(self, table: Tensor) -> Tensor:
        return torch.cat([table, self.zero])[self.index]

    def codes(self, table: Tensor) -> Codes:
        """Return the codes of the weight that a table gives."""
        return Codes(self.index, torch.cat([table, self.zero])).without_unused()

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the table that gives this weight."""
        return self._table.to(weight)


def share_weights(model: nn.Module, clusters: int) -> None:
    """Let the weights of each layer share `clusters` values; zero is one of them after pruning.

    A layer that is too small to gain from it keeps its weights.

    Args:
        clusters: values per layer. Range [2, 256].
    """
    for layer in weighted_layers(model).values():
        mask = _mask_of(layer)
        weight = weight_of(layer).detach()
        unpruned = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask
        table = k_means(weight[unpruned], clusters - (mask is not None and not bool(mask.all())))
        index = torch.full(weight.shape, len(table), device=weight.device)
        index[unpruned] = nearest(table, weight[unpruned])
        shared = Shared(table, index)
        if not takes_less(shared.codes(table), weight):
            continue
        if mask is not None:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        parametrize.register_parametrization(layer, "weight", shared)


def shared_codes(model: nn.Module) -> dict[str, Codes]:
    """Return the codes of the layers that share values now, by name."""
    codes = {}
    for name, layer in weighted_layers(model).items():
        if parametrize.is_parametrized(layer, "weight"):
            chain = layer.parametrizations["weight"]  # type: ignore[index]
            assert isinstance(chain, parametrize.ParametrizationList)
            shared = chain[0]
            if isinstance(shared, Shared):
                codes[name] = shared.codes(chain.original.detach())
    return codes


def k_means(values: Tensor, clusters: int) -> Tensor:
    """Cluster numbers by Lloyd's algorithm; in one dimension, sorting replaces distances.

    Args:
        values: (n,), at least one.
        clusters: number of centroids.

    Returns:
        The centroids in ascending order, at most `clusters` of them.
    """
    distinct: Tensor = torch.unique(values)
    if len(distinct) <= clusters:
        return distinct
    ordered = values.double().sort().values
    sums = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])
    centroids = torch.linspace(
        float(ordered[0]), float(ordered[-1]), clusters, dtype=torch.float64, device=values.device
    )
    for _ in range(MOST_ROUNDS):
        middles = (centroids[1:] + centroids[:-1]) / 2
        inner = torch.searchsorted(ordered, middles)
        ends = torch.cat([inner.new_zeros(1), inner, inner.new_full((1,), len(ordered))])
        n_in_each = ends[1:] - ends[:-1]
        means = (sums[ends[1:]] - sums[ends[:-1]]) / n_in_each.clamp(min=1)
        moved = torch.where(n_in_each > 0, means, centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    used: Tensor = centroids[n_in_each > 0].to(values.dtype)
    return used


def nearest(table: Tensor, values: Tensor) -> Tensor:
    """Return the index of the entry nearest to each value; `table` is in ascending order."""
    middles: Tensor = (table[1:] + table[:-1]) / 2
    index: Tensor = torch.searchsorted(middles, values.contiguous())
    return index


def _mask_of(layer: nn.Module) -> Tensor | None:
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    masked = layer.parametrizations["weight"][0]  # type: ignore[index]
    return masked.mask if isinstance(masked, Masked) else None
