"""Tokenizers of a study file: laws, references, and the same result in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.data.text.tokenizers import trained
from tunecli.data.text.tokens import FittedTokenizer
from tunecli.errors import DataError
from tunecli.study_file.catalogue.names import TOKENIZERS
from tunecli.study_file.settings.settings import Component

CORPUS = [
    *(f"the cat {i} sat on the mat, and the dog {i % 7} ran over the hill" for i in range(40)),
    "Straße Größe schön über",
    "中文没有空格的句子 中文字符",
    "emoji 😀 😀, nul \0, a mark \ufeff, [PAD] [UNK] ##cat",
    "",
]
SIZES = {
    "BPE": {"vocab_size": 300},
    "Unigram": {"vocab_size": 200},
    "WordPiece": {"vocab_size": 200},
}


def fitted(name: str, texts: list[str] = CORPUS, **arguments: object) -> FittedTokenizer:
    component = Component(name=name, arguments={**SIZES.get(name, {}), **arguments})
    return FittedTokenizer(trained(component, texts).to_str())


FITTED = {name: fitted(name) for name in TOKENIZERS}


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=60) | st.sampled_from(CORPUS) | st.just("x [PAD] [UNK] ##cat"))
def test_no_text_has_padding_in_it_and_every_token_is_in_the_vocabulary(
    name: str, text: str
) -> None:
    ids = FITTED[name].encode([text.replace("\ud800", "?")])[0].tolist()
    assert ids
    assert 1 <= min(ids)
    assert max(ids) < FITTED[name].vocab_size


@pytest.mark.parametrize("name", TOKENIZERS)
def test_padding_is_0_and_unknown_is_1(name: str) -> None:
    one = FITTED[name]
    assert (one.pad, one.empty) == (0, 1)
    assert one.vocabulary[:2] == ["[PAD]", "[UNK]"]
    assert one.encode([""])[0].tolist() == [1]
    assert len({*one.vocabulary}) == one.vocab_size


@pytest.mark.parametrize("name", [name for name in TOKENIZERS if name != "BPE"])
def test_characters_that_training_lacks_are_unknown(name: str) -> None:
    assert 1 in FITTED[name].encode(["жжж"])[0].tolist()


@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=60))
def test_byte_pairs_lose_nothing(text: str) -> None:
    ids = FITTED["BPE"].encode([text])[0].tolist() if text else []
    assert FITTED["BPE"].decode(ids) == text
    assert 1 not in ids


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_characters_lose_nothing_of_what_they_know(texts: list[str]) -> None:
    one = fitted("characters", texts)
    tokens = one.encode(texts)
    for number, text in enumerate(texts):
        if text:
            assert one.decode(tokens[number].tolist()) == text
            assert len(tokens[number]) == len(text)


def test_words_are_those_that_python_counts() -> None:
    texts = ["b a a", "c a b", "d e"]
    counts = Counter(" ".join(texts).split())
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    assert fitted("words", texts).vocabulary[2:] == ranked
    assert fitted("words", texts, vocab_size=4).vocabulary[2:] == ["a", "b"]
    assert fitted("words", texts, min_frequency=2).vocabulary[2:] == ["a", "b"]


def test_words_keep_accents_and_split_chinese() -> None:
    vocabulary = fitted("words").vocabulary
    assert {"straße", "größe", "schön", "中", "文", "😀", ","} <= {*vocabulary}
    assert "Straße" in fitted("words", lowercase=False).vocabulary


@pytest.mark.parametrize("name", ["BPE", "Unigram", "WordPiece"])
def test_the_vocabulary_has_at_most_the_asked_size(name: str) -> None:
    assert FITTED[name].vocab_size <= SIZES[name]["vocab_size"]


@pytest.mark.parametrize("name", ["Unigram", "WordPiece"])
def test_a_vocabulary_without_room_for_all_characters_is_refused(name: str) -> None:
    match = rf"{name} needs at least \d+ tokens for the characters .*, but vocab_size is 10. Raise"
    with pytest.raises(DataError, match=match):
        fitted(name, vocab_size=10)


PRINTS = """
import hashlib
from test_tokenizers import fitted
from tunecli.study_file.catalogue.names import TOKENIZERS

letters = [(a, b, c) for a in "qwertzui" for b in "opas" for c in "dfgh"]
texts = [f"{a}{b} {c}{a}ing the {b}{c}{a} of {a}" for a, b, c in letters]
found = [fitted(name, texts).text for name in TOKENIZERS]
print([hashlib.sha256(text.encode()).hexdigest() for text in found])
"""


def printed(program: str, *words: str, n_threads: int = 0) -> str:
    """Return what a new process prints, with a number of threads of the library; 0 for none."""
    threads = {"TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": str(n_threads)}
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=str(__file__).rpartition("/")[0],
        env=dict(os.environ) | (threads if n_threads else {}),
    ).stdout


@pytest.mark.slow
def test_every_process_trains_the_same_tokenizers_with_any_number_of_threads() -> None:
    """The library numbers some pieces, and adds some scores, in an order that differs."""
    runs = [printed(PRINTS, n_threads=n) for n in (0, 0, 1, 4)]
    assert len({*runs}) == 1, runs


SYMMETRIC = """
import hashlib, random
from itertools import permutations
from test_tokenizers import fitted

chance = random.Random(1)
words = ["".join(chance.choices("abc", k=7)) for _ in range(57)]
ways = [str.maketrans("abc", "".join(way)) for way in permutations("abc")]
texts = [word.translate(way) for way in ways for word in words]
print(hashlib.sha256(fitted("Unigram", texts, vocab_size=88).text.encode()).hexdigest())
"""


@pytest.mark.slow
def test_pieces_of_equal_worth_are_the_same_in_all_processes() -> None:
    """The trainer of the library `tokenizers` chooses others in most processes."""
    runs = [printed(SYMMETRIC) for _ in range(4)]
    assert len({*runs}) == 1, runs
