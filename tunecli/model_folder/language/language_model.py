"""A language model from `tunecli refit`, which scores and continues texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows
from tunecli.errors import DataError
from tunecli.model_folder.format.model import Member, Model
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


class LanguageModel:
    """Scores and continues texts with a model whose task is language modeling."""

    def __init__(self, model: Model) -> None:
        """Take a model.

        Raises:
            DataError: it predicts something else.
        """
        if model.facts.task != "language_modeling":
            what = "classes" if model.classes else "values"
            raise DataError(
                f"the model predicts {what}, but only language models score and continue texts. "
                "Leave out --score and --generate."
            )
        self._model = model
        self._precision = Precision(model.facts.config.training, model.device)

    @property
    def _member(self) -> Member:
        (member,) = self._model.members  # a mean of models with other tokens has no meaning
        return member

    @property
    def fitted(self) -> FittedBlocks:
        """The preprocessing of documents."""
        fitted = self._member.preprocessing
        assert isinstance(fitted, FittedBlocks), "consistency was checked"
        return fitted

    def sums_of_texts(self, x: TextRows) -> NDArray[np.float64]:
        """Return the sums over the tokens of each new document, (n, 4)."""
        blocks = self.fitted.separate_blocks(x)
        sums = block_sums(self._member.network, self._precision, blocks, self._model.device)
        return sums_of_rows(sums, blocks.rows, range(len(x)))

    def sums_of_rows(self, dataset: Dataset, rows: Tensor) -> NDArray[np.float64]:
        """Return the sums of some documents of a data set, (n_rows, 4); of one text, per block."""
        assert isinstance(dataset.x, TextRows)
        blocks = self.fitted.blocks(dataset.x, rows)
        sums = block_sums(self._member.network, self._precision, blocks, self._model.device)
        if self.fitted.of_one_text:
            return sums
        totals = sums_of_rows(sums, blocks.rows, rows.tolist())
        return totals[totals[:, 2] > 0]

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
                self._member.network,
                self._precision,
                self.fitted,
                text,
                n_tokens,
                sampling,
                first + number,
            )
            for number, text in enumerate(texts)
        ]


def _score(totals: TokenPredictions) -> TextScore:
    n_tokens = int(totals.tokens)
    return TextScore(totals.log_loss, totals.perplexity, totals.bits_per_byte, n_tokens)
