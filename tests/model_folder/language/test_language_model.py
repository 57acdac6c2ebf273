from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from training_cases import trial

from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.text.tokenizers import trained
from tunecli.data.text.tokens import FittedTokenizer
from tunecli.errors import DataError
from tunecli.model_folder.language.continuations import Sampling
from tunecli.model_folder.language.language_model import LanguageModel
from tunecli.study_file.settings.settings import Component
from tunecli.training.step.precision import Precision

CPU = torch.device("cpu")
TOKENIZER = FittedTokenizer(trained(Component(name="characters"), ["abc"]).to_str())
A, B, C = (TOKENIZER.library.token_to_id(letter) for letter in "abc")


class Table(nn.Module):
    """Scores of the next token that depend on the token before it alone."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, x: Tensor) -> Tensor:
        return self.scores[x]


def model(scores: Tensor, block_size: int = 4, **facts: bool) -> LanguageModel:
    precision = Precision(trial().training, CPU)
    fitted = FittedBlocks(TOKENIZER, block_size, **facts)
    return LanguageModel(Table(scores), fitted, precision, CPU)


def after(*pairs: tuple[int, int]) -> Tensor:
    """Scores by which the second token of each pair follows the first, nearly surely."""
    scores = torch.zeros(TOKENIZER.vocab_size, TOKENIZER.vocab_size)
    for before, token in pairs:
        scores[before, token] = 30.0
    return scores


def rows(*texts: str) -> TextRows:
    return TextRows(torch.empty(len(texts), 0), (Texts.of(texts),))


def test_the_loss_of_a_text_is_the_mean_over_its_tokens() -> None:
    torch.manual_seed(0)
    scores = torch.randn(TOKENIZER.vocab_size, TOKENIZER.vocab_size)
    score, empty = model(scores).scores(rows("abcab", ""))
    stream = [0, A, B, C, A, B, 0]
    nats = -scores.log_softmax(1)[stream[:-1], stream[1:]]
    assert score.tokens == 6
    assert score.loss == pytest.approx(nats.mean().item(), rel=1e-5)
    assert score.perplexity == pytest.approx(math.exp(nats.mean().item()), rel=1e-5)
    assert score.bits_per_byte == pytest.approx(nats.sum().item() / math.log(2) / 5, rel=1e-5)
    assert math.isnan(empty.loss)


def test_a_text_has_the_same_loss_whatever_is_beside_it() -> None:
    torch.manual_seed(0)
    ours = model(torch.randn(TOKENIZER.vocab_size, TOKENIZER.vocab_size))
    texts = ["abc", "b" * 11, "", "cab"]
    together = ours.scores(rows(*texts))
    for text, score in zip(texts, together, strict=True):
        assert repr(ours.scores(rows(text))[0]) == repr(score)


def test_the_most_probable_token_follows_until_the_document_ends() -> None:
    ours = model(after((A, B), (B, C), (C, A), (0, A)))
    assert ours.continued(["a", ""], 5) == ["bcabc", "abcab"]
    assert model(after((A, B), (B, 0))).continued(["a"], 5) == ["b"]


def test_a_model_of_one_text_never_ends_it_and_none_chooses_the_unknown_token() -> None:
    ends = after((A, 0)) + after((A, 1)) + 0.1 * after((A, B), (B, C), (C, A))
    assert model(ends, of_one_text=True).continued(["a"], 3) == ["bca"]
    assert model(after((A, 1)) + 0.5 * after((A, B))).continued(["a"], 1) == ["b"]


def test_draws_depend_on_the_seed_and_the_position_alone() -> None:
    ours = model(torch.zeros(TOKENIZER.vocab_size, TOKENIZER.vocab_size), of_one_text=True)
    sampling = Sampling(temperature=1.0, seed=3)
    first = ours.continued(["a", "a", "b"], 20, sampling)
    assert first == ours.continued(["a", "a", "b"], 20, sampling)
    assert first[1] != first[0]
    assert ours.continued(["a"], 20, sampling, first=1) == first[1:2]
    assert ours.continued(["a"], 20, Sampling(1.0, seed=4))[0] == first[1]


def test_draws_have_the_probabilities_of_the_temperature() -> None:
    scores = torch.full((TOKENIZER.vocab_size, TOKENIZER.vocab_size), -100.0)
    scores[:, A], scores[:, B] = math.log(3.0), 0.0
    drawn = model(scores, of_one_text=True).continued(["a"], 2000, Sampling(temperature=0.5))[0]
    assert drawn.count("a") / 2000 == pytest.approx(9 / 10, abs=0.03)
    drawn = model(scores, of_one_text=True).continued(["a"], 50, Sampling(1.0, top_k=1))[0]
    assert drawn == "a" * 50


def test_values_that_cannot_draw_are_refused() -> None:
    with pytest.raises(DataError, match="temperature must be 0 or more, but got -1"):
        Sampling(-1)
    with pytest.raises(DataError, match="top_k must be 1 or more, but got 0"):
        Sampling(1.0, top_k=0)
