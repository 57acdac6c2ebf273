"""A causal transformer from scratch: a language model of torch's layers.

It is GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"): layers
that normalize before attention, learned positions, GELU, the token embedding as output layer, and
initial weights of standard deviation 0.02, divided by sqrt(2 · num_layers) where a layer adds to
its input.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.models.layers.plain_layers import check_at_least_one
from tunecli.training.models.parametrization.transformer_widths import transformer_factors
from tunecli.training.models.parametrization.width_factors import WidthScaled

_DEVIATION = 0.02


class TransformerDecoder(WidthScaled):
    """Scores the next token at each position from the tokens up to it."""

    def __init__(
        self,
        shape: tuple[int, ...],
        n_outputs: int,
        columns: Columns,
        d_model: int = 128,
        nhead: int = 4,
        num_layers: int = 4,
        dim_feedforward: int | None = None,
        dropout: float = 0.0,
        parametrization: Literal["standard", "mup"] = "standard",
        base_width: int = 128,
    ) -> None:
        """Build the network.

        Args:
            shape: the largest number of tokens of a row, (block_size,).
            n_outputs: number of tokens of the vocabulary.
            d_model: length of the vector of a token; a multiple of `nhead`.
            nhead: number of attention heads.
            num_layers: number of layers.
            dim_feedforward: width inside a layer; None for 4 · d_model.
            dropout: share of the values that each layer drops.
            parametrization: `mup` scales initial weights and learning rates with `d_model`, so
                that the best learning rate is that of a narrow network.
            base_width: the `d_model` at which `mup` equals `standard`.

        Raises:
            ValueError: an argument is out of its range.
        """
        super().__init__()
        check_at_least_one(d_model=d_model, nhead=nhead, num_layers=num_layers)
        check_at_least_one(base_width=base_width)
        if d_model % nhead:
            raise ValueError(f"d_model must be a multiple of nhead, but got {d_model} and {nhead}")
        self.tokens = nn.Embedding(n_outputs, d_model)
        self.positions = nn.Embedding(shape[0], d_model)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            d_model,
            nhead,
            dim_feedforward or 4 * d_model,
            dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        norm = nn.LayerNorm(d_model)
        self.layers = nn.TransformerEncoder(layer, num_layers, norm, enable_nested_tensor=False)
        self._start(num_layers)
        if parametrization == "mup":
            width = d_model / base_width
            self.scale_by_width(transformer_factors(self, width, start=width**-0.5))

    @torch.no_grad()
    def _start(self, num_layers: int) -> None:
        """Draw the weights of each layer: torch copies one layer with its weights."""
        for name, weight in self.named_parameters():
            adds_to_input = name.endswith(("out_proj.weight", "linear2.weight"))
            if weight.ndim >= 2:
                scale = math.sqrt(2 * num_layers) if adds_to_input else 1
                nn.init.normal_(weight, std=_DEVIATION / scale)

    def forward(self, x: Tensor) -> Tensor:  # (batch, length) -> (batch, length, n_outputs)
        x = x.long()
        length = x.shape[1]
        places = torch.arange(length, device=x.device)
        vectors = self.dropout(self.tokens(x) + self.positions(places))
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=x.device)
        encoded = self.layers(vectors, mask, is_causal=True)
        return nn.functional.linear(encoded, self.tokens.weight)
