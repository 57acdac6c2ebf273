"""Reduce the vectors of a text's tokens to one; padding never takes part."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

Reduction = Literal["mean", "sum", "max"]


def n_tokens(is_token: Tensor) -> Tensor:
    """Return the number of tokens of each row, (batch,); 1 for a text without tokens."""
    return is_token.sum(1).clamp(min=1)


def reduced(x: Tensor, is_token: Tensor, how: Reduction) -> Tensor:
    """Reduce vectors (batch, length, size) to (batch, size); without tokens, to zeros."""
    counted = is_token.unsqueeze(2)
    if how == "max":
        largest = x.masked_fill(~counted, float("-inf")).amax(1)
        return largest.masked_fill(~is_token.any(1, keepdim=True), 0.0)
    total = x.masked_fill(~counted, 0.0).sum(1)
    return total if how == "sum" else total / n_tokens(is_token).unsqueeze(1)


class Pooling(nn.Module):
    """Encodes a text as the mean, sum or largest entries of its tokens' vectors.

    Args:
        how: what the vectors become.
        size: length of a token's vector.
    """

    def __init__(self, how: Reduction, size: int) -> None:
        super().__init__()
        self._how = how
        self.n_out = size

    def forward(self, x: Tensor, is_token: Tensor) -> Tensor:
        """Return (batch, size) for vectors (batch, length, size); see `reduced`."""
        return reduced(x, is_token, self._how)
