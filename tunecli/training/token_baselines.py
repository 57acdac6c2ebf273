"""Predict tokens by counting them: what a language model must beat.

Frequencies are counted in the training part of a fold, on the tokens that its models get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import Features, as_features
from tunecli.data.text.token_blocks import NO_LOSS
from tunecli.training.outcome.token_predictions import N_SUMS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Counted(Protocol):
    """Probabilities of tokens that were counted."""

    def probabilities(self, before: Ints, tokens: Ints) -> Floats:
        """Return the probability of each token after the one before it, (n,)."""

    def best(self, before: Ints) -> Ints:
        """Return the most probable token after each token, (n,); the first of equals."""


class TokenFrequencies:
    """The share of each token among all, each counted once more (Laplace)."""

    def __init__(self, before: Ints, tokens: Ints, n_tokens: int) -> None:
        """Count `tokens`, (n,); what stands before them does not matter."""
        counts = np.bincount(tokens, minlength=n_tokens) + 1
        self.shares: Floats = counts / counts.sum()

    def probabilities(self, before: Ints, tokens: Ints) -> Floats:
        """Return the shares of the tokens; see `Counted`."""
        return self.shares[tokens]

    def best(self, before: Ints) -> Ints:
        """Return the commonest token; see `Counted`."""
        return np.full(len(before), self.shares.argmax())


class BigramModel:
    """The share of each token after the token before it, smoothed by the shares of all tokens.

    The smoothing is that of Witten and Bell (1991), doi:10.1109/18.87000: a token that T different
    tokens follow has T more followers, distributed as all tokens are.
    """

    def __init__(self, before: Ints, tokens: Ints, n_tokens: int) -> None:
        """Count the pairs of `before` and `tokens`, (n,) each."""
        self._n_tokens = n_tokens
        self._all = TokenFrequencies(before, tokens, n_tokens)
        self._pairs, self._counts = np.unique(before * n_tokens + tokens, return_counts=True)
        firsts = self._pairs // n_tokens
        self._totals = np.bincount(firsts, self._counts, minlength=n_tokens)
        self._followers = np.bincount(firsts, minlength=n_tokens)

    def probabilities(self, before: Ints, tokens: Ints) -> Floats:
        """Return the smoothed shares; see `Counted`."""
        pairs = before * self._n_tokens + tokens
        places = np.searchsorted(self._pairs, pairs).clip(max=len(self._pairs) - 1)
        counts = np.where(self._pairs[places] == pairs, self._counts[places], 0)
        return self._smoothed(before, tokens, counts)

    def _smoothed(self, before: Ints, tokens: Ints, counts: Ints) -> Floats:
        shares, new = self._all.shares[tokens], self._followers[before]
        is_known = new > 0
        known = (counts + new * shares) / np.maximum(self._totals[before] + new, 1)
        return np.where(is_known, known, shares)

    def best(self, before: Ints) -> Ints:
        """Return the commonest follower, or the commonest token of all; see `Counted`."""
        n_tokens = self._n_tokens
        firsts, tokens = np.divmod(self._pairs, n_tokens)
        every, common = np.arange(n_tokens), self._all.best(np.arange(n_tokens))
        heads = np.concatenate([firsts, every])
        followers = np.concatenate([tokens, common])
        scores = self.probabilities(heads, followers)
        order = np.lexsort((followers, -scores, heads))
        _, first = np.unique(heads[order], return_index=True)
        return followers[order][first][before]


TOKEN_BASELINES: Mapping[str, Callable[[Ints, Ints, int], Counted]] = {
    "token frequencies": TokenFrequencies,
    "bigram model": BigramModel,
}
"""The baselines of language modeling by the names in `evaluation.BASELINES`."""


def counted_sums(name: str, fold: FoldData) -> Floats:
    """Return the sums of a baseline over each validation row, (n_valid, 4), as `measure` takes.

    Args:
        name: one of `TOKEN_BASELINES`.
        fold: blocks of tokens.
    """
    before, targets = _flat(fold.x_train, fold.y_train)
    counts = targets != NO_LOSS
    counted = TOKEN_BASELINES[name](before[counts], targets[counts], fold.n_classes)
    before, targets = _flat(fold.x_valid, fold.y_valid)
    counts = targets != NO_LOSS
    values = np.zeros((N_SUMS - 1, len(targets)))
    values[0, counts] = -np.log(counted.probabilities(before[counts], targets[counts]))
    values[1, counts] = counted.best(before[counts]) == targets[counts]
    values[2, counts] = 1
    assert fold.valid_bytes is not None, "the fold holds tokens"
    sums = values.reshape(N_SUMS - 1, len(fold.y_valid), -1).sum(2)
    return np.vstack([sums, fold.valid_bytes.numpy()]).T


def _flat(x: Tensor | Features, y: Tensor) -> tuple[Ints, Ints]:
    """Return all tokens and their next tokens, (n_rows · length,) each."""
    tokens = next(as_features(x).batches(None, [len(y)]))
    length = tokens.shape[1]
    return tokens.long().flatten().numpy(), y[:, :length].long().flatten().numpy()
