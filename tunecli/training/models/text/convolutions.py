"""Convolutions over a text, each reduced to its largest value."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from tunecli.training.models.text.pooling import n_tokens


class Convolutions(nn.Module):
    """Encodes a text by the largest value of each channel over all places in the text.

    A kernel begins before the first token and ends after the last one, so a text may be shorter
    than the kernel. Only places with at least one token count.

    Args:
        n_in: length of a token's vector.
        channels: channels per size of the kernels.
        kernel_sizes: numbers of tokens that a kernel spans.
    """

    def __init__(self, n_in: int, channels: int, kernel_sizes: Sequence[int]) -> None:
        super().__init__()
        self.n_out = channels * len(kernel_sizes)
        self.kernels = nn.ModuleList(
            nn.Conv1d(n_in, channels, size, padding=size - 1) for size in kernel_sizes
        )

    def forward(self, x: Tensor, is_token: Tensor) -> Tensor:
        """Return (batch, n_out) for vectors (batch, length, n_in)."""
        x, n = x.transpose(1, 2), n_tokens(is_token)
        return relu(torch.cat([_largest(kernel(x), n - x.shape[2]) for kernel in self.kernels], 1))


def _largest(values: Tensor, n_more: Tensor) -> Tensor:
    """Return the largest of the values (batch, channels, places), without places after the text.

    Args:
        n_more: tokens of each row minus those of the longest row, (batch,); at most 0.
    """
    n_places = (values.shape[2] + n_more).unsqueeze(1)
    is_after = torch.arange(values.shape[2], device=values.device) >= n_places
    return values.masked_fill(is_after.unsqueeze(1), float("-inf")).amax(2)
