"""Embed token ids as vectors, which start at random or from given word vectors."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from tunecli.data.rows.dataset import TokenForm
from tunecli.study_file.text.counts import count
from tunecli.training.models.text.word_vectors import known_vectors

SPREAD = 0.05
"""Random vectors start uniformly between -SPREAD and SPREAD, as in Keras.

With the 0.25 of Kim (2014), TextCNN's accuracy over folds of the TREC questions is 0.014 lower.
"""


class TokenEmbedding(nn.Module):
    """Maps token ids to vectors; padding is the zero vector.

    Args:
        tokens: the ids.
        size: length of a vector.
        vectors: file of word vectors that known tokens start from; see `word_vectors`.
        freeze_vectors: train no vector, neither the given nor the random ones.
        dropout: probability of dropping an entry of a vector in training.

    Raises:
        ArgumentError: the file cannot be read.
        ValueError: its vectors have another length.
    """

    def __init__(
        self,
        tokens: TokenForm,
        size: int,
        vectors: str | None,
        freeze_vectors: bool,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self._pad = tokens.pad
        self.table = nn.Embedding(tokens.vocab_size, size, padding_idx=tokens.pad)
        weight = self.table.weight
        with torch.no_grad():
            nn.init.uniform_(weight, -SPREAD, SPREAD)
            if vectors is not None:
                known = known_vectors(tokens.study_folder / vectors, tuple(tokens.vocabulary))
                _check_size(vectors, known.vectors.shape[1], size)
                weight[known.ids] = known.vectors
            weight[tokens.pad] = 0.0
        weight.requires_grad_(not freeze_vectors)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors (batch, length, size), and which ids are tokens (batch, length)."""
        return cast(Tensor, self.dropout(self.table(ids))), ids != self._pad


def _check_size(file: str, given: int, size: int) -> None:
    if given != size:
        raise ValueError(
            f"the vectors of {file} have {count(given, 'number')}, but those of the model have "
            f"{size}. Set the size of the model's vectors (embed or d_model) to {given}."
        )
