"""Turn texts into tokens with a fitted tokenizer."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from tunecli.data.rows.dataset import TokenForm
from tunecli.data.text.tokenizers import PAD, UNKNOWN
from tunecli.study_file.settings.setting_types import MAX_LENGTH
from tunecli.study_file.settings.settings import Component

MOST_TOKENS_KNOWN = 2**24
"""Largest vocabulary: larger numbers of tokens are not exact in float32."""
AT_ONCE = 1024
"""Texts that the library encodes at a time."""
_PADDING = (PAD, "<pad>", "<|pad|>", "<|endoftext|>", "</s>")
_UNKNOWN = (UNKNOWN, "<unk>", "<|endoftext|>", "</s>")
"""Names of the tokens for padding and for the unknown, in pretrained tokenizers too."""


@dataclass(frozen=True)
class TokenSetting:
    """How a configuration makes tokens of texts.

    Attributes:
        tokenizer: the tokenizer that is trained on each training part.
        max_length: largest number of tokens of a row.
        pretrained: the folder of a pretrained model, whose tokenizer is used instead; empty
            without one.
    """

    tokenizer: Component
    max_length: int = MAX_LENGTH
    pretrained: str = ""


@dataclass(frozen=True)
class Tokens:
    """The tokens of n rows, one row after the other; the arrays may be mapped from a file.

    Attributes:
        ids: the tokens, int32.
        ends: where each row begins and the last one ends, (n + 1,) int64.
        n_whole: number of tokens of each row before it was cut, (n,) int64.
    """

    ids: NDArray[np.int32]
    ends: NDArray[np.int64]
    n_whole: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], n_whole: Sequence[int] | None = None) -> Tokens:
        """Store the tokens of rows that were cut from `n_whole` tokens each, if at all."""
        lengths = [len(row) for row in rows]
        ends = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=ends[1:])
        parts = [np.asarray(row, np.int32) for row in rows]
        ids = np.concatenate([np.empty(0, np.int32), *parts])
        return cls(ids, ends, np.asarray(n_whole or lengths, np.int64))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.ids[self.ends[row] : self.ends[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each row, (n,)."""
        return np.diff(self.ends)

    @property
    def nbytes(self) -> int:
        """Memory of the tokens, in bytes."""
        return self.ids.nbytes + self.ends.nbytes + self.n_whole.nbytes


@dataclass(frozen=True)
class FittedTokenizer:
    """A tokenizer with its vocabulary.

    Attributes:
        text: the content of its `tokenizer.json`.
        max_length: largest number of tokens of a row, special ones included.
    """

    text: str
    max_length: int = MAX_LENGTH

    @functools.cached_property
    def library(self) -> Tokenizer:
        """The library's tokenizer, which neither pads nor cuts."""
        made = Tokenizer.from_str(self.text)
        made.no_padding()
        made.no_truncation()
        return made

    @functools.cached_property
    def vocabulary(self) -> Sequence[str]:
        """The text of each token; empty for numbers that no token has.

        Raises:
            ValueError: a token has a number beyond `MOST_TOKENS_KNOWN`.
        """
        known = self.library.get_vocab(with_added_tokens=True)
        if max(known.values(), default=0) >= MOST_TOKENS_KNOWN:
            raise ValueError(f"a tokenizer with token {max(known.values()):,}")
        vocabulary = [""] * (1 + max(known.values(), default=0))
        for text, token in known.items():
            vocabulary[token] = text
        return vocabulary

    @property
    def vocab_size(self) -> int:
        """Number of tokens: one more than the largest one."""
        return len(self.vocabulary)

    def form(self, n_features: int = 0) -> TokenForm:
        """Return the form of rows with `n_features` other features."""
        return TokenForm(self.vocab_size, self.pad, n_features, self.vocabulary)

    @functools.cached_property
    def pad(self) -> int:
        """The token that fills rows; 0 if the vocabulary names none."""
        return self._first_of(_PADDING)

    @functools.cached_property
    def empty(self) -> int:
        """The token that stands for an empty row: the unknown one."""
        return self._first_of(_UNKNOWN)

    def _first_of(self, names: Iterable[str]) -> int:
        found = map(self.library.token_to_id, names)
        return next((token for token in found if token is not None), 0)

    def encode(self, texts: Iterable[str]) -> Tokens:
        """Return the tokens of texts; a text without any becomes one unknown token."""
        rows: list[list[int]] = []
        n_whole: list[int] = []
        for encoding, n_tokens in self._encoded(texts):
            rows.append(encoding.ids or [self.empty])
            n_whole.append(n_tokens)
        return Tokens.of(rows, n_whole)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens."""
        text: str = self.library.decode(list(ids))
        return text

    def _encoded(self, texts: Iterable[str]) -> Iterator[tuple[Encoding, int]]:
        """Yield each text cut to `max_length`, with special tokens, and its length before."""
        n_special = self.library.num_special_tokens_to_add(is_pair=False)
        room = max(0, self.max_length - n_special)
        waiting = iter(texts)
        while some := list(islice(waiting, AT_ONCE)):
            for encoding in self.library.encode_batch_fast(some, add_special_tokens=False):
                n_whole = len(encoding.ids) + n_special
                if n_whole > self.max_length:
                    encoding.truncate(room)
                yield self.library.post_process(encoding) if n_special else encoding, n_whole
