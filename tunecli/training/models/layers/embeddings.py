"""Embed single columns as vectors: categories, and optionally numbers.

Embeddings of numbers are those of Gorishniy, Rubachev and Babenko (2022), "On Embeddings for
Numerical Features in Tabular Deep Learning", https://arxiv.org/abs/2203.05556, in its authors'
implementation (rtdl_num_embeddings); embeddings of categories are those of Gorishniy et al.
(2021), https://arxiv.org/abs/2106.11959 (rtdl_revisiting_models).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from tunecli.data.rows.dataset import FoldData, TokenForm
from tunecli.data.rows.features import Features, as_features
from tunecli.training.models.layers.plain_layers import check_at_least_one


@dataclass(frozen=True)
class Columns:
    """The columns of a fold's rows.

    Attributes:
        cat_cardinalities: number of codes, from 0, of each of the last columns; the columns before
            them are numbers.
        x_train: the training rows, on the CPU or the device of the training; the bins of
            piecewise-linear embeddings are computed from these alone.
        n_bins: number of bins of each number, for a model whose stored weights include the bins,
            so that it can be built without training rows.
        tokens: the form of rows of tokens; None for other rows.
        architecture: configuration of a model of transformers as JSON, for a model whose weights
            are stored, so that it can be built without its pretrained folder; else empty.
    """

    cat_cardinalities: tuple[int, ...] = ()
    x_train: Features | None = None
    n_bins: tuple[int, ...] = ()
    tokens: TokenForm | None = None
    architecture: str = ""

    @classmethod
    def of(cls, fold: FoldData) -> Columns:
        """Return the columns of a fold."""
        return cls(fold.cat_cardinalities, as_features(fold.x_train), tokens=fold.tokens)

    def n_cont_features(self, n_columns: int) -> int:
        """Return how many of the columns are numbers."""
        return n_columns - len(self.cat_cardinalities)

    def spread_rows(self, most_rows: int) -> Tensor | None:
        """Return at most so many training rows at equal distances, (n, n_columns) on the CPU.

        None if there are no training rows.
        """
        if self.x_train is None:
            return None
        places = spread_places(len(self.x_train), most_rows)
        rows = next(iter(self.x_train.batches(places, [len(places)])))
        return rows.flatten(1).cpu()

    def training_numbers(self, n_columns: int, most_rows: int) -> Tensor:
        """Return the numbers of the first `most_rows` training rows, (n, n_cont_features).

        Raises:
            ValueError: there are no training rows.
        """
        if self.x_train is None:
            raise ValueError("piecewise_linear embeddings need training rows to compute bins from")
        n_rows = min(len(self.x_train), most_rows)
        rows = next(iter(self.x_train.batches(None, [n_rows])))
        return rows.flatten(1)[:, : self.n_cont_features(n_columns)].cpu()


def spread_places(n_rows: int, most: int) -> Tensor:
    """Return at most `most` places of rows at equal distances from first to last, (n,) int64.

    Whole numbers alone: floats would round places beyond 2**24 to rows that do not exist.
    """
    n_places = min(n_rows, most)
    return torch.arange(n_places) * (n_rows - 1) // max(n_places - 1, 1)


NumberEmbedding = Literal["periodic", "piecewise_linear"]

MOST_VALUES = 2**24
"""Limit of torch.quantile; the bins of larger training parts are computed from the first rows."""


class RowEmbedding(nn.Module):
    """Maps rows to flat vectors.

    Categorical columns that come as codes become learned vectors, or one-hot; the other columns
    stay numbers, or become vectors too.

    Attributes:
        sizes: length of the part of each column, in their order.
        n_features: length of the flat vector.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        columns: Columns,
        embed: int | None,
        num_embeddings: NumberEmbedding | None,
        num_size: int,
        n_bins: int,
        n_frequencies: int,
        frequency_scale: float,
    ) -> None:
        """Prepare to embed rows of `shape`; for the other arguments see `dense.MLP`.

        Raises:
            ValueError: an argument is out of its range.
        """
        super().__init__()
        n_columns = math.prod(shape)
        self.n_numbers = columns.n_cont_features(n_columns)
        self.numbers: nn.Module | None = None
        is_embedded = num_embeddings is not None
        if num_embeddings is not None and self.n_numbers:
            check_at_least_one(num_size=num_size, n_bins=n_bins, n_frequencies=n_frequencies)
            self.numbers = (
                _periodic(self.n_numbers, num_size, n_frequencies, frequency_scale)
                if num_embeddings == "periodic"
                else _piecewise_linear(columns, n_columns, num_size, n_bins)
            )
        self.categories: nn.Module | None = None
        of_categories = [embed or n_codes - 1 for n_codes in columns.cat_cardinalities]
        if columns.cat_cardinalities:
            self.categories = _categories(columns.cat_cardinalities, embed)
        self.sizes = [num_size if is_embedded else 1] * self.n_numbers + of_categories
        self.n_features = sum(self.sizes)

    def forward(self, x: Tensor) -> Tensor:  # (batch, *shape) -> (batch, n_features)
        x = x.flatten(1)
        if self.categories is None:
            return self._embedded(x)  # an empty slice would cost small models a few percent
        numbers, codes = x[:, : self.n_numbers], x[:, self.n_numbers :]
        vectors = cast(Tensor, self.categories(codes.long()))
        return torch.cat([self._embedded(numbers), vectors.flatten(1)], dim=1)

    def _embedded(self, numbers: Tensor) -> Tensor:
        if self.numbers is None:
            return numbers
        return cast(Tensor, self.numbers(numbers)).flatten(1)


def bin_counts(model: nn.Module) -> tuple[int, ...]:
    """Return the number of bins per number of a piecewise-linear embedding; empty without one."""
    from rtdl_num_embeddings import PiecewiseLinearEmbeddings

    for module in model.modules():
        if isinstance(module, PiecewiseLinearEmbeddings):
            n_numbers, most = module.impl.weight.shape
            mask = module.impl.mask  # marks the bins of each number; None if all have the most
            return tuple(mask.sum(1).tolist()) if mask is not None else (most,) * n_numbers
    return ()


class OneHotCodes(nn.Module):
    """Encodes codes of categories, (n, n_columns) int64, one-hot: (n, n_features) float32.

    Code 1, a category that the training part lacks, has no feature: no weight would learn from it.
    """

    def __init__(self, cardinalities: tuple[int, ...]) -> None:
        super().__init__()
        features = [(i, code) for i, n in enumerate(cardinalities) for code in range(n)]
        columns, codes = torch.tensor([pair for pair in features if pair[1] != 1]).unbind(1)
        self.register_buffer("columns", columns.contiguous(), persistent=False)
        self.register_buffer("codes", codes.contiguous(), persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        features = codes.index_select(1, self.get_buffer("columns"))
        return (features == self.get_buffer("codes")).float()


def _categories(cardinalities: tuple[int, ...], size: int | None) -> nn.Module:
    from rtdl_revisiting_models import CategoricalEmbeddings

    if size is None:
        return OneHotCodes(cardinalities)
    check_at_least_one(embed=size)
    # The bias of the next layer is enough.
    return cast(nn.Module, CategoricalEmbeddings(list(cardinalities), size, bias=False))


def _periodic(n_features: int, size: int, n_frequencies: int, scale: float) -> nn.Module:
    from rtdl_num_embeddings import PeriodicEmbeddings

    if not scale > 0:
        raise ValueError(f"frequency_scale must be above 0, but got {scale}.")
    embeddings = PeriodicEmbeddings(
        n_features, size, n_frequencies=n_frequencies, frequency_init_scale=scale, lite=False
    )
    return cast(nn.Module, embeddings)


def _piecewise_linear(columns: Columns, n_columns: int, size: int, n_bins: int) -> nn.Module:
    from rtdl_num_embeddings import PiecewiseLinearEmbeddings

    if columns.n_bins:  # the edges themselves are loaded with the weights
        bins = [torch.arange(n + 1.0) for n in columns.n_bins]
    else:
        numbers = columns.training_numbers(n_columns, max(2, MOST_VALUES // n_columns))
        bins = quantile_bins(numbers, n_bins)
    # Version B starts as a linear embedding, as its authors advise.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about single bins, which are enough for binary columns
        embeddings = PiecewiseLinearEmbeddings(bins, size, activation=False, version="B")
    return cast(nn.Module, embeddings)


def quantile_bins(x: Tensor, n_bins: int) -> list[Tensor]:
    """Return the edges of bins with equally many rows of `x` (n, n_features) for each feature.

    See section 3.2.1 of the paper. Equal edges are merged, so a feature with few distinct values
    has fewer bins, and a constant feature has one.
    """
    check_at_least_one(n_bins=n_bins)
    quantiles = torch.quantile(x, torch.linspace(0, 1, n_bins + 1).to(x), dim=0)
    edges = [column.unique() for column in quantiles.T]
    return [torch.cat([e, e + 1]) if len(e) == 1 else e for e in edges]
