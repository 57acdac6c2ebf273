from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import language

from tunecli.data.rows.dataset import FoldData
from tunecli.training.token_baselines import TOKEN_BASELINES, BigramModel, counted_sums

N = 5
tokens = st.lists(st.integers(0, N - 1), min_size=2, max_size=30)


def dense_bigrams(stream: np.ndarray) -> np.ndarray:
    """The formula of Witten and Bell, token by token."""
    unigrams = (np.bincount(stream[1:], minlength=N) + 1) / (len(stream) - 1 + N)
    table = np.tile(unigrams, (N, 1))
    for before in range(N):
        followers = stream[1:][stream[:-1] == before]
        if len(followers):
            new = len(set(followers.tolist()))
            counts = np.bincount(followers, minlength=N)
            table[before] = (counts + new * unigrams) / (len(followers) + new)
    return table


@settings(deadline=None)
@given(tokens)
def test_bigrams_are_those_of_the_formula(given_tokens: list[int]) -> None:
    stream = np.array(given_tokens)
    model, table = BigramModel(stream[:-1], stream[1:], N), dense_bigrams(stream)
    before, after = np.divmod(np.arange(N * N), N)
    probabilities = model.probabilities(before, after).reshape(N, N)
    np.testing.assert_allclose(probabilities, table)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    best = table[np.arange(N), model.best(np.arange(N))]
    np.testing.assert_allclose(best, table.max(1))


@pytest.mark.parametrize("name", TOKEN_BASELINES)
def test_the_sums_are_of_the_tokens_that_count(name: str) -> None:
    fold = language()
    nats, hits, n_tokens, n_bytes = counted_sums(name, fold).T
    counts = (fold.y_valid != -100).sum(1).numpy()
    np.testing.assert_array_equal(n_tokens, counts)
    assert fold.valid_bytes is not None
    np.testing.assert_array_equal(n_bytes, fold.valid_bytes.numpy())
    assert (nats > 0).all()
    assert (hits <= counts).all()


def test_frequencies_are_those_of_the_training_part() -> None:
    x = torch.tensor([[1, 1, 2]])
    fold = replace(
        language(), x_train=x, y_train=torch.tensor([[1, 2, -100]]), n_classes=4,
        x_valid=x, y_valid=torch.tensor([[1, 3, -100]]), valid_bytes=torch.tensor([7]),
    )  # fmt: skip
    [[nats, hits, n_tokens, n_bytes]] = counted_sums("token frequencies", fold)
    assert nats == pytest.approx(-np.log(2 / 6) - np.log(1 / 6))
    assert (hits, n_tokens, n_bytes) == (1, 2, 7)


def test_bigrams_beat_frequencies_where_tokens_depend_on_each_other() -> None:
    fold = language(n_train=60, n_valid=40)

    def log_loss(name: str, data: FoldData) -> float:
        nats, _, n_tokens, _ = counted_sums(name, data).sum(0)
        return float(nats / n_tokens)

    assert log_loss("bigram model", fold) < 0.6 * log_loss("token frequencies", fold)
