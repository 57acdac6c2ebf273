import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from tunecli.study_file.settings.settings import Component
from tunecli.training.outcome.metrics import measure
from tunecli.training.outcome.token_predictions import N_SUMS, TokenPredictions, token_sums

NAMES = ("log_loss", "perplexity", "bits_per_byte", "token_accuracy")


def of(sums: np.ndarray) -> dict[str, float]:
    metrics = [Component(name=name) for name in NAMES]
    return measure(metrics, "language_modeling", np.empty(0), sums, 0)


def test_they_are_those_of_scikit_learn_over_all_tokens_that_count() -> None:
    torch.manual_seed(0)
    outputs, y = torch.randn(6, 9, 5), torch.randint(5, (6, 12))
    y[torch.rand(y.shape) < 0.3] = -100
    y[:, 9:] = -100  # the batch was padded to nine tokens only
    n_bytes = torch.arange(6.0)[:, None]
    sums = torch.cat([token_sums(outputs, y), n_bytes], dim=1).double().numpy()
    counts = y[:, :9] != -100
    probabilities = outputs[counts].double().softmax(1).numpy()
    truth = y[:, :9][counts].numpy()
    nats = sk.log_loss(truth, probabilities, labels=range(5))
    measured = of(sums)
    assert measured["log_loss"] == pytest.approx(nats, rel=1e-6)
    assert measured["perplexity"] == pytest.approx(math.exp(nats), rel=1e-6)
    assert measured["bits_per_byte"] == pytest.approx(nats * len(truth) / math.log(2) / 15)
    accuracy = sk.accuracy_score(truth, probabilities.argmax(1))
    assert measured["token_accuracy"] == pytest.approx(accuracy)


def test_a_uniform_guess_has_the_perplexity_of_the_vocabulary() -> None:
    sums = token_sums(torch.zeros(2, 4, 8), torch.ones(2, 4, dtype=torch.int64)).double()
    predictions = TokenPredictions(np.hstack([sums.numpy(), np.full((2, 1), 4.0)]))
    assert predictions.perplexity == pytest.approx(8)
    assert predictions.bits_per_byte == pytest.approx(3)  # a byte per token


sums_of_rows = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(N_SUMS)),
                      elements=st.floats(0.5, 50))  # fmt: skip


@given(sums_of_rows, st.integers(1, 5))
def test_they_do_not_depend_on_how_tokens_are_divided_into_rows(
    sums: np.ndarray, n_first: int
) -> None:
    merged = np.vstack([sums[:n_first].sum(0), sums[n_first:].sum(0)])
    assert of(merged) == pytest.approx(of(sums))


def test_a_model_that_diverged_has_no_finite_score() -> None:
    assert of(np.array([[1e6, 0, 10, 10.0]]))["perplexity"] == math.inf
    assert math.isnan(of(np.array([[math.nan, 0, 10, 10]]))["perplexity"])


def test_without_tokens_nothing_is_defined() -> None:
    assert all(map(math.isnan, of(np.zeros((1, N_SUMS))).values()))
