"""Layers of self-attention over a text: the encoder of Vaswani et al. (2017), arXiv:1706.03762."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from tunecli.training.models.text.pooling import reduced

AttentionPooling = Literal["mean", "max", "cls"]


class Attention(nn.Module):
    """Encodes a text by a transformer's encoder.

    Positions are encoded by sines and cosines, so a text may be longer than those trained on.
    Norms come before each layer's sublayers, so that training needs no warm-up (Xiong et al. 2020,
    arXiv:2002.04745).

    Args:
        d_model: length of a token's vector.
        nhead: number of heads; divides `d_model`.
        num_layers: number of layers.
        dim_feedforward: width of each layer's hidden layer.
        dropout: probability of dropping a unit, also in the vectors with their positions.
        pooling: `mean` or `max` over all tokens; `cls` for a learned vector before the text.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        num_layers: int,
        dim_feedforward: int,
        dropout: float,
        pooling: AttentionPooling,
    ) -> None:
        super().__init__()
        self.n_out = d_model
        self._pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.start = nn.Parameter(torch.randn(1, d_model)) if pooling == "cls" else None
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                d_model, nhead, dim_feedforward, dropout, batch_first=True, norm_first=True
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, is_token: Tensor) -> Tensor:
        """Return (batch, d_model) for vectors (batch, length, d_model)."""
        x = self.dropout(x + sinusoids(x.shape[1], x.shape[2], x.device))
        if self.start is not None:
            x = torch.cat([self.start.expand(x.shape[0], 1, -1), x], dim=1)
            is_token = pad(is_token, (1, 0), value=True)
        # In a text without tokens all places are attended to, since a softmax needs one.
        ignored = ~is_token & is_token.any(1, keepdim=True)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=ignored)
        x = self.norm(x)
        return x[:, 0] if self._pooling == "cls" else reduced(x, is_token, self._pooling)


def sinusoids(length: int, size: int, device: torch.device) -> Tensor:
    """Return the encodings of a text's positions, (length, size); section 3.5 of the paper."""
    places = torch.arange(length, device=device).unsqueeze(1)
    pairs = torch.arange(0, size, 2, device=device)
    angles = places * torch.exp(pairs * (-math.log(10_000.0) / size))
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :size]
