"""A network that scores and continues texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.rows.texts import TextRows
from tunecli.model_folder.language.continuations import GREEDY, Sampling, continuation
from tunecli.model_folder.language.text_scores import block_sums, sums_of_rows
from tunecli.training.outcome.token_predictions import TokenPredictions
from tunecli.training.step.precision import Precision


@dataclass(frozen=True)
class TextScore:
    """How well a model predicts a text.

    Attributes:
        loss: mean loss in nats per token; NaN without tokens.
        perplexity: its exponential.
        bits_per_byte: the loss per byte of the text in UTF-8.
        tokens: number of tokens that count.
    """

    loss: float
    perplexity: float
    bits_per_byte: float
    tokens: int


@dataclass(frozen=True)
class LanguageModel:
    """Scores and continues texts.

    Attributes:
        network: the network, in evaluation mode on `device`.
        fitted: the preprocessing of its documents.
        precision: the precision in which it computes.
    """

    network: nn.Module
    fitted: FittedBlocks
    precision: Precision
    device: torch.device

    def sums_of_texts(self, x: TextRows) -> NDArray[np.float64]:
        """Return the sums over the tokens of each new document, (n, 4)."""
        blocks = self.fitted.separate_blocks(x)
        sums = block_sums(self.network, self.precision, blocks, self.device)
        return sums_of_rows(sums, blocks.rows, range(len(x)))

    def sums_of_part(self, x: TextRows, rows: Tensor) -> NDArray[np.float64]:
        """Return the sums of some documents of a data set, (n, 4); for one text, per block.

        Documents without tokens are left out.
        """
        blocks = self.fitted.blocks(x, rows)
        sums = block_sums(self.network, self.precision, blocks, self.device)
        if self.fitted.of_one_text:
            return sums
        return sums_of_rows(sums, blocks.rows, np.unique(blocks.rows.numpy()).tolist())

    def scores(self, x: TextRows) -> list[TextScore]:
        """Return how well the model predicts each document."""
        return [_score(TokenPredictions(row[None])) for row in self.sums_of_texts(x)]

    def continued(
        self, texts: Sequence[str], n_tokens: int, sampling: Sampling = GREEDY, first: int = 0
    ) -> list[str]:
        """Return what follows each text, at most `n_tokens` tokens of it.

        Args:
            first: position of the first text among others, for its draws.
        """
        return [
            continuation(
                self.network, self.precision, self.fitted, text, n_tokens, sampling, position
            )
            for position, text in enumerate(texts, start=first)
        ]


def _score(totals: TokenPredictions) -> TextScore:
    n_tokens = int(totals.tokens)
    return TextScore(totals.log_loss, totals.perplexity, totals.bits_per_byte, n_tokens)
