"""tunecli's own models for text, alone or with other columns.

Each embeds the tokens of a text as vectors, encodes these as one vector, appends the row's other
columns, and predicts by one linear layer. Padding does not change a row's output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from tunecli.data.rows.dataset import TokenForm
from tunecli.training.models.layers.embeddings import Columns, RowEmbedding
from tunecli.training.models.layers.plain_layers import check_at_least_one, check_dropout
from tunecli.training.models.parametrization.transformer_widths import (
    head_factors,
    transformer_factors,
)
from tunecli.training.models.parametrization.width_factors import WidthScaled
from tunecli.training.models.text.attention import Attention
from tunecli.training.models.text.convolutions import Convolutions
from tunecli.training.models.text.pooling import Pooling
from tunecli.training.models.text.recurrent import Recurrent
from tunecli.training.models.text.token_embedding import TokenEmbedding

Encoder = Convolutions | Pooling | Recurrent | Attention


class TextModel(WidthScaled):
    """Encodes the text of each row, and predicts from it and the row's other columns.

    Args:
        embedding: maps ids to vectors.
        encoder: maps the vectors of a text, and which of them are tokens, to (batch, n_out).
        dropout: probability of dropping a unit of the encoded text in training.
        category_embed: see `TextCNN`.
    """

    def __init__(
        self,
        n_outputs: int,
        columns: Columns,
        embedding: TokenEmbedding,
        encoder: Encoder,
        dropout: float,
        category_embed: int | None,
    ) -> None:
        super().__init__()
        check_dropout(dropout=dropout)
        self._n_features = tokens_of(columns).n_features
        self.embedding = embedding
        self.encoder = encoder
        self.others = _others(columns, category_embed)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.n_out + self.others.n_features, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, n_outputs) for rows (batch, n_features + length): features, then ids."""
        text = self.encoder(*self.embedding(x[:, self._n_features :].long()))
        return cast(Tensor, self.head(self._joined(x, self.dropout(text))))

    def _joined(self, x: Tensor, text: Tensor) -> Tensor:
        if not self._n_features:
            return text
        return torch.cat([text, self.others(x[:, : self._n_features])], dim=1)


def tokens_of(columns: Columns) -> TokenForm:
    """Return how rows hold text.

    Raises:
        ValueError: they hold none.
    """
    if columns.tokens is None:
        raise ValueError("a model of text needs rows with text")
    return columns.tokens


def _embedding(
    columns: Columns,
    size: int,
    vectors: str | None,
    freeze_vectors: bool,
    embed_dropout: float = 0.0,
) -> TokenEmbedding:
    check_at_least_one(embed=size)
    check_dropout(embed_dropout=embed_dropout)
    return TokenEmbedding(tokens_of(columns), size, vectors, freeze_vectors, embed_dropout)


def _others(columns: Columns, category_embed: int | None) -> RowEmbedding:
    """Return the embedding of the other columns: numbers as they are, categories as vectors."""
    shape, numbers_as_they_are = (tokens_of(columns).n_features,), (None, 1, 1, 1, 1.0)
    return RowEmbedding(shape, columns, category_embed, *numbers_as_they_are)


class TextCNN(TextModel):
    """Convolutions over the text, each reduced to its largest value: Kim (2014).

    "Convolutional Neural Networks for Sentence Classification", arXiv:1408.5882; the defaults of
    the channels, the kernels and the dropout are those of the paper.

    Args:
        n_outputs: number of outputs.
        columns: the tokens, and the other columns.
        embed: size of the vector per token.
        channels: number of channels per kernel size.
        kernel_sizes: numbers of consecutive tokens that the kernels span.
        dropout: probability of dropping a unit of the encoded text in training. Range [0, 1).
        vectors: file of word vectors that the tokens' vectors start from, .txt or .safetensors.
        freeze_vectors: keep the tokens' vectors as they start.
        category_embed: size of the vector per category of the other columns; none for one-hot.
        embed_dropout: probability of dropping an entry of a token's vector in training.
            Range [0, 1).
    """

    def __init__(
        self,
        n_outputs: int,
        columns: Columns,
        embed: int = 100,
        channels: int = 100,
        kernel_sizes: Sequence[int] = (3, 4, 5),
        dropout: float = 0.5,
        vectors: str | None = None,
        freeze_vectors: bool = False,
        category_embed: int | None = None,
        embed_dropout: float = 0.0,
    ) -> None:
        check_at_least_one(channels=channels, **{"len(kernel_sizes)": len(kernel_sizes)})
        for size in kernel_sizes:
            check_at_least_one(kernel_sizes=size)
        embedding = _embedding(columns, embed, vectors, freeze_vectors, embed_dropout)
        encoder = Convolutions(embed, channels, kernel_sizes)
        super().__init__(n_outputs, columns, embedding, encoder, dropout, category_embed)


class EmbeddingBag(TextModel):
    """The mean of the tokens' vectors, and a linear layer: the classifier of fastText.

    Joulin et al. (2017), "Bag of Tricks for Efficient Text Classification", arXiv:1607.01759.

    Args:
        n_outputs: number of outputs.
        columns: the tokens, and the other columns.
        embed: size of the vector per token.
        mode: what the vectors of a text's tokens become: their mean, sum or max.
        dropout: probability of dropping a unit of the encoded text in training. Range [0, 1).
        vectors: file of word vectors that the tokens' vectors start from, .txt or .safetensors.
        freeze_vectors: keep the tokens' vectors as they start.
        category_embed: size of the vector per category of the other columns; none for one-hot.
        embed_dropout: probability of dropping an entry of a token's vector in training.
            Range [0, 1).
    """

    def __init__(
        self,
        n_outputs: int,
        columns: Columns,
        embed: int = 100,
        mode: Literal["mean", "sum", "max"] = "mean",
        dropout: float = 0.0,
        vectors: str | None = None,
        freeze_vectors: bool = False,
        category_embed: int | None = None,
        embed_dropout: float = 0.0,
    ) -> None:
        embedding = _embedding(columns, embed, vectors, freeze_vectors, embed_dropout)
        encoder = Pooling(mode, embed)
        super().__init__(n_outputs, columns, embedding, encoder, dropout, category_embed)


class RecurrentModel(TextModel):
    """Recurrent layers over the text: the common part of `LSTM` and `GRU`.

    Args:
        n_outputs: number of outputs.
        columns: the tokens, and the other columns.
        embed: size of the vector per token.
        hidden_size: length of the state.
        num_layers: number of layers.
        bidirectional: read each text from its end as well.
        dropout: probability of dropping a unit between layers, and of the encoded text, in
            training. Range [0, 1).
        pooling: `last` encodes a text as the states after all of it; `mean` and `max` take those
            of the states at all tokens.
        vectors: file of word vectors that the tokens' vectors start from, .txt or .safetensors.
        freeze_vectors: keep the tokens' vectors as they start.
        category_embed: size of the vector per category of the other columns; none for one-hot.
        embed_dropout: probability of dropping an entry of a token's vector in training.
            Range [0, 1).
    """

    kind: ClassVar[type[nn.LSTM] | type[nn.GRU]]

    def __init__(
        self,
        n_outputs: int,
        columns: Columns,
        embed: int = 100,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        pooling: Literal["last", "mean", "max"] = "last",
        vectors: str | None = None,
        freeze_vectors: bool = False,
        category_embed: int | None = None,
        embed_dropout: float = 0.0,
    ) -> None:
        check_at_least_one(hidden_size=hidden_size, num_layers=num_layers)
        embedding = _embedding(columns, embed, vectors, freeze_vectors, embed_dropout)
        sizes = (embed, hidden_size, num_layers)
        encoder = Recurrent(self.kind, *sizes, bidirectional, dropout, pooling)
        super().__init__(n_outputs, columns, embedding, encoder, dropout, category_embed)


class LSTM(RecurrentModel):
    """Layers with long short-term memory: Hochreiter and Schmidhuber (1997)."""

    kind = nn.LSTM


class GRU(RecurrentModel):
    """Layers of gated recurrent units: Cho et al. (2014), arXiv:1406.1078."""

    kind = nn.GRU


class TransformerEncoder(TextModel):
    """Layers of self-attention over the text: Vaswani et al. (2017), arXiv:1706.03762.

    Args:
        n_outputs: number of outputs.
        columns: the tokens, and the other columns.
        d_model: size of the vector per token; a multiple of `nhead`.
        nhead: number of heads of the attention.
        num_layers: number of layers.
        dim_feedforward: width of the hidden layer of each layer.
        dropout: probability of dropping a unit in training, in the layers and of the encoded text.
            Range [0, 1).
        pooling: `mean` or `max` of the encoded tokens; `cls` for a learned vector before the text.
        vectors: file of word vectors that the tokens' vectors start from, .txt or .safetensors.
        freeze_vectors: keep the tokens' vectors as they start.
        category_embed: size of the vector per category of the other columns; none for one-hot.
        parametrization: `mup` scales initial weights and learning rates with `d_model`, so that
            the best learning rate is that of a narrow network.
        base_width: the `d_model` at which `mup` equals `standard`.
    """

    def __init__(
        self,
        n_outputs: int,
        columns: Columns,
        d_model: int = 128,
        nhead: int = 4,
        num_layers: int = 2,
        dim_feedforward: int = 256,
        dropout: float = 0.1,
        pooling: Literal["mean", "max", "cls"] = "mean",
        vectors: str | None = None,
        freeze_vectors: bool = False,
        category_embed: int | None = None,
        parametrization: Literal["standard", "mup"] = "standard",
        base_width: int = 128,
    ) -> None:
        check_at_least_one(d_model=d_model, nhead=nhead, num_layers=num_layers)
        check_at_least_one(dim_feedforward=dim_feedforward, base_width=base_width)
        if d_model % nhead:
            raise ValueError(
                f"d_model must be a multiple of nhead, but got {d_model} and {nhead}."
            )
        embedding = _embedding(columns, d_model, vectors, freeze_vectors)
        encoder = Attention(d_model, nhead, num_layers, dim_feedforward, dropout, pooling)
        super().__init__(n_outputs, columns, embedding, encoder, dropout, category_embed)
        if parametrization == "mup":
            width = d_model / base_width
            factors = transformer_factors(embedding, width) | transformer_factors(encoder, width)
            factors |= head_factors(self.head, d_model, width)
            self.scale_by_width(factors)
