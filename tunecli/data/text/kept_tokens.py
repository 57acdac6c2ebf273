"""Tokenizers that are fitted once, and tokens that are made once, cached for other processes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from torch import Tensor

from tunecli import __version__
from tunecli.data.cache.entries import SMALL, NewArray, kept, key_of
from tunecli.data.rows.texts import TextRows
from tunecli.data.text.pretrained_tokenizers import pretrained_tokenizer
from tunecli.data.text.tokenizers import trained
from tunecli.data.text.tokens import FittedTokenizer, Tokens, TokenSetting

_VERSIONS = [__version__, tokenizers.__version__]
_TRAINED_BY = {"Unigram": ("sentencepiece",)}
"""Other libraries that a tokenizer depends on."""


def fitted_tokenizer(
    x: TextRows, rows: Tensor, setting: TokenSetting, fingerprint: str, cache: Path | None
) -> FittedTokenizer:
    """Return a pretrained tokenizer, or one trained on these rows, from the cache if it is there.

    Args:
        rows: the training rows of `x`, (n,) int64.
        setting: its `pretrained` is a folder.
        fingerprint: the fingerprint of `x`.

    Raises:
        DataError: the tokenizer cannot be read, or does not fit the texts.
    """
    if setting.pretrained:
        return FittedTokenizer(pretrained_tokenizer(Path(setting.pretrained)), setting.max_length)

    def make(new: NewArray) -> Mapping[str, Any]:
        text = trained(setting.tokenizer, [*x[rows].joined()]).to_str().encode()
        new("tokenizer", (len(text),), np.uint8)[...] = np.frombuffer(text, np.uint8)
        return {}

    component = setting.tokenizer
    versions = [*_VERSIONS, *map(version, _TRAINED_BY.get(component.name, ()))]
    key = key_of("tokenizer", fingerprint, _hash(rows), component.model_dump(), versions)
    text = kept(cache, key, make).arrays["tokenizer"].tobytes().decode()
    return FittedTokenizer(text, setting.max_length)


def kept_tokens(
    x: TextRows, rows: Tensor, tokenizer: FittedTokenizer, fingerprint: str, cache: Path | None
) -> Tokens:
    """Return the tokens of some rows from the cache, or make them; for arguments see above."""

    def make(new: NewArray) -> Mapping[str, Any]:
        made = tokenizer.encode(x[rows].joined())
        for name in ("ids", "ends", "n_whole"):
            array = getattr(made, name)
            new(name, array.shape, array.dtype)[...] = array
        return {}

    known = hashlib.sha256(tokenizer.text.encode()).hexdigest(), tokenizer.max_length
    key = key_of("tokens", fingerprint, _hash(rows), known, _VERSIONS)
    return Tokens(**kept(None if x.nbytes <= SMALL else cache, key, make).arrays)


def _hash(rows: Tensor) -> str:
    return hashlib.sha256(rows.numpy().tobytes()).hexdigest()
