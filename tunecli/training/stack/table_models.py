"""Stack tunecli's own models of tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunecli.training.models import dense
from tunecli.training.models.layers.embeddings import RowEmbedding
from tunecli.training.stack.joined_tensors import CannotStackError
from tunecli.training.stack.stack import Builder, Forward, Stack
from tunecli.training.stack.stacked_layers import chain, in_order


def _row_embedding(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    """Stack embeddings of categories; those of numbers compute one by one."""
    layers = cast(Sequence[RowEmbedding], modules)
    first = layers[0]
    numbers = _numbers(layers, stack)
    if first.categories is None:
        return lambda x: numbers(x.flatten(2))
    n_numbers = first.n_numbers
    categories = _categories([cast(nn.Module, layer.categories) for layer in layers], stack)

    def forward(x: Tensor) -> Tensor:
        x = x.flatten(2)
        return torch.cat([numbers(x[..., :n_numbers]), categories(x[..., n_numbers:])], dim=2)

    return forward


def _numbers(layers: Sequence[RowEmbedding], stack: Stack) -> Forward:
    if layers[0].numbers is None:
        return lambda x: x
    vectors = stack.one_by_one([cast(nn.Module, layer.numbers) for layer in layers])
    return lambda x: vectors(x).flatten(2)


def _categories(modules: Sequence[Any], stack: Stack) -> Forward:
    """Join the vectors of all columns and models to one table, of which codes are rows."""
    if any(module.bias is not None for module in modules):
        raise CannotStackError
    tables = [embedding.weight for module in modules for embedding in module.embeddings]
    sizes = [len(table) for table in tables]
    vectors = stack.weight(tables, sizes)
    starts = torch.tensor([0, *accumulate(sizes)][:-1])
    first_rows = starts.view(len(modules), 1, -1)  # (n_models, 1, n_columns)
    return lambda codes: functional.embedding(codes.long() + first_rows, vectors).flatten(2)


def _residual_network(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    """Stack the ResNet of rtdl_revisiting_models."""
    models = cast(Sequence[Any], modules)
    embedding = stack.layer([model.embedding for model in models])
    networks = [model.blocks for model in models]
    projection = stack.layer([network.input_projection for network in networks])
    of_depth = zip(*(network.blocks for network in networks), strict=True)
    blocks = [_added(stack.layer(block)) for block in of_depth]
    output = stack.layer([network.output for network in networks])
    return chain([embedding, projection, *blocks, output])


def _added(block: Forward) -> Forward:
    return lambda x: x + block(x)


TABLE_MODELS: dict[type[nn.Module], Builder] = {
    RowEmbedding: _row_embedding,
    dense.Linear: in_order("flatten", "head"),
    dense.MLP: in_order("embedding", "hidden", "head"),
    dense.ResNet: _residual_network,
}
