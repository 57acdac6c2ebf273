"""Rows of text, as models get them, without a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tunecli.data.rows.dataset import TokenForm
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.building import build_model
from tunecli.training.models.layers.embeddings import Columns

VOCAB_SIZE = 30
TOKENS = TokenForm(VOCAB_SIZE, pad=0)
ONLY_TEXT = Columns(tokens=TOKENS)
NUMBERS_AND_TEXT = Columns(tokens=replace(TOKENS, n_features=3))
CODES_AND_TEXT = Columns((4,), tokens=replace(TOKENS, n_features=3))

EVERY_MODEL: list[tuple[str, dict[str, Any]]] = [
    ("TextCNN", {"embed": 5, "channels": 4}),
    ("TextCNN", {"embed": 5, "channels": 4, "kernel_sizes": [1, 7]}),
    *(("EmbeddingBag", {"embed": 5, "mode": mode}) for mode in ("mean", "sum", "max")),
    ("LSTM", {"embed": 5, "hidden_size": 3}),
    ("LSTM", {"embed": 5, "hidden_size": 3, "num_layers": 2, "pooling": "max"}),
    ("GRU", {"embed": 5, "hidden_size": 3, "bidirectional": False}),
    ("GRU", {"embed": 5, "hidden_size": 3, "num_layers": 2, "pooling": "mean"}),
    *(
        ("TransformerEncoder", {"d_model": 8, "nhead": 2, "pooling": pooling})
        for pooling in ("mean", "max", "cls")
    ),
]
"""Each model, with arguments that reach all of its code."""


def text_model(
    name: str, columns: Columns = ONLY_TEXT, n_outputs: int = 3, **arguments: Any
) -> nn.Module:
    """A model for rows of at most 9 tokens, with the same weights in each call."""
    assert columns.tokens is not None
    torch.manual_seed(0)
    shape = (columns.tokens.n_features + 9,)
    return build_model(Component(name=name, arguments=arguments), shape, n_outputs, columns)


def padded(texts: Sequence[Sequence[int]], length: int = 0) -> Tensor:
    """The ids of texts as one tensor (n, length): padded to the longest, and at least to this."""
    longest = max(length, 1, *map(len, texts))
    return torch.tensor([[*ids, *[TOKENS.pad] * (longest - len(ids))] for ids in texts])


def beside(features: Tensor, ids: Tensor) -> Tensor:
    """Rows of other features, and then the ids."""
    return torch.cat([features, ids.float()], dim=1)
