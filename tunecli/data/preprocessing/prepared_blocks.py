"""Fit the tokenizer of a language model, and cut the documents of a fold into blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
import torch
from torch import Tensor

from tunecli import __version__
from tunecli.data.cache.entries import SMALL, NewArray, kept, key_of
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.rows.dataset import Dataset, FoldData, TokenForm
from tunecli.data.rows.texts import TextRows
from tunecli.data.text.block_features import BlockFeatures
from tunecli.data.text.kept_tokens import fitted_tokenizer
from tunecli.data.text.token_blocks import TokenBlocks
from tunecli.errors import DataError
from tunecli.study_file.settings.setting_types import BLOCK_SIZE
from tunecli.study_file.settings.settings import DataSettings

_PARTS = ("x", "y", "n_bytes", "rows")


@dataclass(frozen=True)
class PreparedBlocks:
    """The blocks of the documents that a tokenizer was fitted on, and of the others."""

    train: TokenBlocks
    valid: TokenBlocks
    tokens: TokenForm

    @property
    def n_bytes(self) -> int:
        """Memory of the blocks, in bytes."""
        parts = (getattr(blocks, name) for blocks in (self.train, self.valid) for name in _PARTS)
        return sum(part.nbytes for part in parts)

    def fold(self, number: int) -> FoldData:
        """Return the fold of this number, from 0."""
        train, valid = self.train, self.valid
        return FoldData(
            number=number,
            task="language_modeling",
            x_train=BlockFeatures(train.x, train.lengths),
            y_train=train.y,
            x_valid=BlockFeatures(valid.x, valid.lengths),
            y_valid=valid.y,
            valid_rows=valid.rows,
            n_classes=self.tokens.vocab_size,
            train_rows=train.rows,
            valid_bytes=valid.n_bytes,
            tokens=self.tokens,
        )


def fit_blocks(
    dataset: Dataset,
    rows: Tensor,
    settings: DataSettings,
    form: FeatureForm,
    cache: Path | None,
) -> FittedBlocks:
    """Fit the tokenizer to the documents `rows`, (n,) int64."""
    assert isinstance(dataset.x, TextRows), "a language model is trained on text"
    assert form.tokens is not None, "a language model needs tokens"
    tokenizer = fitted_tokenizer(dataset.x, rows, form.tokens, dataset.fingerprint, cache)
    block_size = settings.block_size or BLOCK_SIZE
    return FittedBlocks(tokenizer, block_size, dataset.is_one_text, settings.prompt is not None)


def cut_blocks(
    fitted: FittedBlocks, dataset: Dataset, train: Tensor, valid: Tensor, cache: Path | None
) -> PreparedBlocks:
    """Return the blocks of training and validation documents, (n,) int64 each.

    Raises:
        DataError: one of them has no tokens.
    """
    parts = {"training": train, "validation": valid}
    blocks = {name: _kept(fitted, dataset, rows, cache) for name, rows in parts.items()}
    for name, one in blocks.items():
        if not len(one.x):
            message = f"the {name} part has no tokens. Add text, or split it differently."
            raise DataError(message, "data.source")
    return PreparedBlocks(blocks["training"], blocks["validation"], fitted.tokens)


def _kept(fitted: FittedBlocks, dataset: Dataset, rows: Tensor, cache: Path | None) -> TokenBlocks:
    """Return the blocks of some documents from the cache, or make them."""
    x = dataset.x
    assert isinstance(x, TextRows)

    def make(new: NewArray) -> Mapping[str, Any]:
        made = fitted.blocks(x, rows)
        for name in _PARTS:
            array = getattr(made, name).numpy()
            new(name, array.shape, array.dtype)[...] = array
        return {}

    tokenizer = hashlib.sha256(fitted.tokenizer.text.encode()).hexdigest()
    chosen = hashlib.sha256(rows.numpy().tobytes()).hexdigest()
    form = fitted.block_size, fitted.of_one_text
    versions = [__version__, tokenizers.__version__]
    key = key_of("blocks", dataset.fingerprint, chosen, tokenizer, form, versions)
    arrays = kept(None if x.nbytes <= SMALL else cache, key, make).arrays
    return TokenBlocks(**{name: torch.from_numpy(arrays[name]) for name in _PARTS})
