"""Split rows into features and tokens, and pool the vectors of a text's tokens into one."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from tunecli.data.rows.dataset import TokenForm

Pooling = Literal["mean", "cls", "last"]
"""The mean over the tokens of a text, the vector of the first one, or that of the last one."""


def split_row(x: Tensor, tokens: TokenForm) -> tuple[Tensor, Tensor]:
    """Return the features (batch, n_features) and the token ids (batch, length) of rows.

    An empty batch of texts has one token of padding.
    """
    features, ids = x[:, : tokens.n_features], x[:, tokens.n_features :].long()
    return features, ids if ids.shape[1] else ids.new_full((len(ids), 1), tokens.pad)


def real_tokens(ids: Tensor, pad: int) -> Tensor:
    """Return 1 for the tokens of a text and 0 for the padding behind it, (batch, length) int64.

    Padding is what follows the last token that is not padding. An empty text has one token.
    """
    is_real = (ids != pad).flip(1).cumsum(1).flip(1) > 0
    is_first = torch.arange(ids.shape[1], device=ids.device) == 0
    return (is_real | is_first).long()  # a slice from the second token on would not export


def pooled(vectors: Tensor, mask: Tensor, how: Pooling) -> Tensor:
    """Return one vector per text.

    Args:
        vectors: of each token, (batch, length, width).
        mask: from `real_tokens`, (batch, length).
    """
    if how == "cls":
        return vectors[:, 0]
    if how == "last":
        last = mask.sum(1) - 1
        return vectors[torch.arange(vectors.shape[0], device=vectors.device), last]
    weights = mask.to(vectors.dtype).unsqueeze(2)
    return (vectors * weights).sum(1) / weights.sum(1)


class PooledHead(nn.Module):
    """A linear layer on the pooled vector of a text and the other features of its row.

    Args:
        width: width of the vectors.
        n_features: number of the other features.
        dropout: probability of dropping an input in training. Range [0, 1).
    """

    def __init__(
        self, width: int, n_features: int, n_outputs: int, how: Pooling, dropout: float
    ) -> None:
        super().__init__()
        self.how = how
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width + n_features, n_outputs)

    def forward(self, vectors: Tensor, mask: Tensor, features: Tensor) -> Tensor:
        both = torch.cat([pooled(vectors, mask, self.how), features.to(vectors.dtype)], dim=1)
        return cast(Tensor, self.linear(self.dropout(both)))
