"""Texts, tokens, and batches of them, against torch's own padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_sequence

from tunecli.data.rows.dataset import TokenForm
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.text.token_features import TokenFeatures
from tunecli.data.text.tokenizers import whole_words
from tunecli.data.text.tokens import FittedTokenizer, Tokens

STRINGS = st.lists(st.text(max_size=20), max_size=8)
ROWS = st.lists(st.lists(st.integers(1, 90), max_size=12), min_size=1, max_size=12)


@given(STRINGS)
def test_texts_are_the_strings_they_were_made_of(strings: list[str]) -> None:
    texts = Texts.of(strings)
    assert [*texts] == strings
    assert len(texts) == len(strings)
    rows = torch.arange(len(strings)).flip(0)
    assert [*texts.select(rows)] == strings[::-1]


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert [*Texts.of(["a\ud83d", "\0"])] == ["a?", "\0"]


def test_rows_of_text_are_cut_like_tensors() -> None:
    rows = TextRows(torch.arange(10.0).reshape(5, 2), (Texts.of("abcde"), Texts.of("vwxyz")))
    assert rows.shape == (5, 4)
    parts = rows.split(2)
    assert [len(part) for part in parts] == [2, 2, 1]
    assert [*parts[1].joined()] == ["c\nx", "d\ny"]
    assert parts[2].table.tolist() == [[8.0, 9.0]]


@given(ROWS, st.data())
def test_a_batch_is_padded_to_its_longest_row(rows: list[list[int]], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    cut = data.draw(st.integers(1, len(rows)))
    sizes = [cut, len(rows) - cut] if cut < len(rows) else [cut]
    features = TokenFeatures(Tokens.of(rows), TokenForm(100, 0))
    found = [*features.batches(torch.tensor(order), sizes)]
    start = 0
    for batch, size in zip(found, sizes, strict=True):
        expected = pad_sequence([torch.tensor(rows[i]) for i in order[start : start + size]], True)
        assert batch.dtype == torch.int64
        assert batch[:, : expected.shape[1]].tolist() == expected.long().tolist()
        assert batch.shape[1] == max(1, expected.shape[1])
        start += size


def test_other_features_come_before_the_tokens() -> None:
    table = torch.tensor([[0.5], [1.5], [2.5]])
    features = TokenFeatures(Tokens.of([[3], [4, 5], [6]]), TokenForm(2**24 - 1, 9, 1), table)
    (batch,) = features.batches(None, [3])
    assert batch.tolist() == [[0.5, 3, 9], [1.5, 4, 5], [2.5, 6, 9]]
    assert features.shape == (3,)
    assert not features.are_whole
    (first,) = features.first(1).batches(None, [1])
    assert first.tolist() == [[0.5, 3]]


@pytest.mark.parametrize("max_length", [1, 3, 100_000])
def test_rows_are_cut_to_the_largest_length(max_length: int) -> None:
    texts = ["a b c d", "", "a " * 50_000]
    tokens = FittedTokenizer(whole_words(texts).to_str(), max_length).encode(texts)
    assert tokens.n_whole.tolist() == [4, 0, 50_000]
    assert tokens.lengths.tolist() == [min(4, max_length), 1, min(50_000, max_length)]
    assert np.array_equal(tokens[2], np.full(min(50_000, max_length), tokens[0][0]))


def test_a_vocabulary_beyond_exact_floats_is_refused() -> None:
    text = whole_words(["a"]).to_str().replace('"a":2', '"a":4000000000')
    with pytest.raises(ValueError, match=r"a tokenizer with token 4,000,000,000"):
        FittedTokenizer(text).vocab_size  # noqa: B018
