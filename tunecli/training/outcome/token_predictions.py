"""What a language model predicts of rows of tokens, as sums: no probabilities are kept.

The probabilities of all tokens would take gigabytes (rows × tokens × vocabulary), so an evaluation
adds them up batch by batch.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tunecli.data.text.token_blocks import NO_LOSS

N_SUMS = 4
"""Numbers that are kept of a row: loss in nats, correct tokens, tokens, bytes of their text."""


def token_sums(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss in nats, the correct tokens and the counted tokens of each row, (n, 3).

    Args:
        outputs: scores of the next token, (n, length, vocab_size).
        targets: next tokens, (n, at least length), `NO_LOSS` where none counts. Rows are cut to
            the length of the outputs: beyond it, no target counts.
    """
    y = targets[:, : outputs.shape[1]].long()
    scores, flat = outputs.float().flatten(0, 1), y.flatten()
    nats = functional.cross_entropy(scores, flat, reduction="none", ignore_index=NO_LOSS)
    nats, hits = nats.view_as(y), (scores.argmax(1) == flat).view_as(y)
    return torch.stack([nats.sum(1), hits.sum(1), (y != NO_LOSS).sum(1)], dim=1).float()


class TokenPredictions:
    """The totals over rows of tokens, and the metrics that follow from them.

    All tokens count alike, whatever the lengths of their rows.
    """

    def __init__(self, sums: NDArray[np.float64]) -> None:
        """Add up rows of sums, (n, `N_SUMS`)."""
        self.nats, self.hits, self.tokens, self.n_bytes = sums.sum(0).tolist()

    @property
    def log_loss(self) -> float:
        """Mean loss in nats per token; NaN without tokens."""
        return _ratio(self.nats, self.tokens)

    @property
    def perplexity(self) -> float:
        """Exponential of the mean loss: of how many equally likely tokens the model chooses."""
        with np.errstate(over="ignore"):  # a model that has diverged
            return float(np.exp(np.float64(self.log_loss)))

    @property
    def bits_per_byte(self) -> float:
        """Loss in bits per byte of UTF-8, which does not depend on the tokenizer."""
        return _ratio(self.nats / math.log(2), self.n_bytes)

    @property
    def accuracy(self) -> float:
        """Share of the tokens that were the most probable."""
        return _ratio(self.hits, self.tokens)


def _ratio(total: float, n: float) -> float:
    return total / n if n else math.nan
