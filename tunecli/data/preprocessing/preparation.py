"""Fit preprocessing to the training rows of any data set, and prepare its rows for a model.

In a fold, the rows are its training part; for a final fit, all rows of the search.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from torch import Tensor

from tunecli import __version__
from tunecli.data.cache.entries import SMALL, NewArray, kept, key_of
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.preprocessing.fitted_numbers import FittedNumbers, fit_loaded_numbers
from tunecli.data.preprocessing.fitted_pixels import FittedPixels, level_counts
from tunecli.data.preprocessing.fitted_table import FittedTable
from tunecli.data.preprocessing.fitted_text import FittedText
from tunecli.data.preprocessing.prepared_blocks import PreparedBlocks, cut_blocks, fit_blocks
from tunecli.data.preprocessing.scaling import FittedScale, as_columns, as_floats
from tunecli.data.rows.dataset import Dataset, TokenForm
from tunecli.data.rows.features import Features, as_features
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.texts import TextRows
from tunecli.data.text.kept_tokens import fitted_tokenizer, kept_tokens
from tunecli.data.text.token_features import TokenFeatures
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings

Preprocessing = FittedTable | FittedPixels | FittedNumbers | FittedText | FittedBlocks
"""Preprocessing that was fitted on some rows, for any rows of the same kind.

Each kind has a word for `model.json`, `kind`; is called with rows as read, (n, …), to get rows as
a model gets them; and returns all that was fitted as named `tensors`, which
`restored_preprocessing` reads. `cardinalities` and `tokens` are as in `FoldData`.
"""


@dataclass(frozen=True)
class Prepared:
    """Features of the rows that preprocessing was fitted on, and of the others.

    Attributes:
        cat_cardinalities, tokens: see `FoldData`.
    """

    x_train: Tensor | Features
    x_valid: Tensor | Features
    cat_cardinalities: tuple[int, ...] = ()
    tokens: TokenForm | None = None

    @property
    def n_bytes(self) -> int:
        """Bytes of what only this has; pictures are not counted, since all folds share them."""
        own = (self.x_train, self.x_valid)
        return sum(x.nbytes for x in own if isinstance(x, Tensor | TokenFeatures))


def prepared(
    dataset: Dataset,
    train: Tensor,
    valid: Tensor,
    settings: DataSettings,
    form: FeatureForm,
    cache: Path | None = None,
) -> Prepared | PreparedBlocks:
    """Fit preprocessing on `train`, and apply it to both sets.

    Args:
        train, valid: rows of the data set, (n,) int64 each.
        settings: the settings; `impute`, `min_frequency` and `split_seed` are read.
        cache: where the result is cached for other processes; None to keep it in memory.
    """
    if dataset.task == "language_modeling":
        blocks = fit_blocks(dataset, train, settings, form, cache)
        return cut_blocks(blocks, dataset, train, valid, cache)
    return prepared_rows(dataset, train, valid, settings, form, cache)


def prepared_rows(
    dataset: Dataset,
    train: Tensor,
    valid: Tensor,
    settings: DataSettings,
    form: FeatureForm,
    cache: Path | None = None,
) -> Prepared:
    """Do what `prepared` does for rows that a model predicts from as a whole."""
    if isinstance(dataset.x, TextRows) and form.tokens is not None:
        return _prepared_text(dataset, train, valid, settings, form, cache)
    dataset = dataset.without_texts
    if not dataset.columns or form.keeps_integers(dataset.x):
        fitted = fit_preprocessing(dataset, train, settings, form, cache)
        assert not isinstance(fitted, FittedBlocks)
        return Prepared(fitted.features(dataset.x, train), fitted.features(dataset.x, valid))

    def make(new: NewArray) -> Mapping[str, Any]:
        table = fit_preprocessing(dataset, train, settings, form)
        assert isinstance(table, FittedTable)
        for name, rows in (("x_train", train), ("x_valid", valid)):
            out = new(name, (len(rows), table.n_features), np.float32)
            table.encode(dataset.x, rows, torch.from_numpy(out))
        return {"cardinalities": table.cardinalities}

    key = _table_key(dataset, (train, valid), settings, form)
    entry = kept(None if dataset.x_bytes <= SMALL else cache, key, make)
    return Prepared(
        torch.from_numpy(entry.arrays["x_train"]),
        torch.from_numpy(entry.arrays["x_valid"]),
        tuple(entry.facts["cardinalities"]),
    )


def _prepared_text(
    dataset: Dataset,
    train: Tensor,
    valid: Tensor,
    settings: DataSettings,
    form: FeatureForm,
    cache: Path | None,
) -> Prepared:
    """Prepare rows of text: their tokens, and the features of the other columns."""
    x, others = dataset.x, None
    assert isinstance(x, TextRows)
    assert form.tokens is not None
    if dataset.columns:
        others = prepared_rows(dataset, train, valid, settings, replace(form, tokens=None), cache)
    tokenizer = fitted_tokenizer(x, train, form.tokens, dataset.fingerprint, cache)
    n_features = 0 if others is None else as_features(others.x_train).shape[0]
    of_tokens = tokenizer.form(n_features)

    def features(rows: Tensor, table: Tensor | Features | None) -> TokenFeatures:
        assert table is None or isinstance(table, Tensor)
        tokens = kept_tokens(x, rows, tokenizer, dataset.fingerprint, cache)
        return TokenFeatures(tokens, of_tokens, table)

    if others is None:
        return Prepared(features(train, None), features(valid, None), tokens=of_tokens)
    return Prepared(
        features(train, others.x_train),
        features(valid, others.x_valid),
        others.cat_cardinalities,
        of_tokens,
    )


def _table_key(
    dataset: Dataset, parts: tuple[Tensor, Tensor], settings: DataSettings, form: FeatureForm
) -> str:
    return key_of(
        "fold",
        dataset.fingerprint,
        [hashlib.sha256(rows.numpy().tobytes()).hexdigest() for rows in parts],
        settings.model_dump(include={"impute", "min_frequency", "split_seed"}),
        form.scale.model_dump() if form.scale is not None else None,
        form.embeds,
        [(column.kind, column.is_first) for column in dataset.columns],
        [__version__, np.__version__, sklearn.__version__],
    )


def fit_preprocessing(
    dataset: Dataset,
    rows: Tensor,
    settings: DataSettings,
    form: FeatureForm,
    cache: Path | None = None,
) -> Preprocessing:
    """Fit to `rows` of a data set, (n,) int64; for other arguments see `prepared`."""
    x, scale = dataset.x, form.scale
    if dataset.task == "language_modeling":
        return fit_blocks(dataset, rows, settings, form, cache)
    if isinstance(x, TextRows):
        return _fit_text(dataset, x, rows, settings, form, cache)
    are_whole = form.keeps_integers(x)
    if isinstance(x, LoadedRows) and x.dtype != torch.uint8:
        fingerprint = dataset.fingerprint
        return fit_loaded_numbers(x, rows, scale, fingerprint, cache, are_whole=are_whole)
    if isinstance(x, Tensor) and are_whole:
        return FittedNumbers(FittedScale(), are_whole=True)
    if isinstance(x, Tensor) and scale is None:
        _refuse_overflow(dataset, x)
    if isinstance(x, Tensor) and dataset.columns:
        cells = as_floats(x[rows]).numpy()
        return FittedTable.fit(dataset.columns, cells, settings, scale, form.embeds)
    if isinstance(x, Tensor) and x.dtype != torch.uint8:
        columns = as_columns(as_floats(x[rows]))
        return FittedNumbers(FittedScale.fit(scale, columns, settings.split_seed))
    counts = level_counts(
        x, rows, dataset.fingerprint, None if dataset.x_bytes <= SMALL else cache
    )
    return FittedPixels.fit(counts, scale, settings.split_seed)


def _fit_text(
    dataset: Dataset,
    x: TextRows,
    rows: Tensor,
    settings: DataSettings,
    form: FeatureForm,
    cache: Path | None,
) -> FittedText:
    assert form.tokens is not None, "a model of text needs tokens"
    tokenizer = fitted_tokenizer(x, rows, form.tokens, dataset.fingerprint, cache)
    if not dataset.columns:
        return FittedText(tokenizer)
    table = fit_preprocessing(dataset.without_texts, rows, settings, form)
    assert isinstance(table, FittedTable)
    return FittedText(tokenizer, table)


def prepared_by(
    fitted: Preprocessing,
    dataset: Dataset,
    train: Tensor,
    valid: Tensor | None,
    cache: Path | None,
) -> Prepared | PreparedBlocks:
    """Return the features of rows by preprocessing that was fitted before; see `prepared`.

    Args:
        valid: None for the training rows.
    """
    if isinstance(fitted, FittedBlocks):
        return cut_blocks(fitted, dataset, train, train if valid is None else valid, cache)
    x_train = fitted.features(dataset.x, train)
    x_valid = x_train if valid is None else fitted.features(dataset.x, valid)
    return Prepared(x_train, x_valid, fitted.cardinalities, fitted.tokens)


def restored_preprocessing(kind: str, tensors: Mapping[str, Tensor]) -> Preprocessing:
    """Restore preprocessing from its `kind` and what `tensors` returned.

    Raises:
        KeyError, ValueError: a tensor is missing or does not fit.
    """
    if kind == "blocks":
        return FittedBlocks.restored(tensors)
    if kind == "text":
        return FittedText.restored(tensors)
    if kind == "table":
        return FittedTable.restored(tensors)
    if kind == "pixels":
        return FittedPixels.restored(tensors)
    if kind == "integers":
        return FittedNumbers(FittedScale(), are_whole=True)
    if kind == "numbers":
        return FittedNumbers(FittedScale.restored(tensors))
    raise ValueError(f"unknown preprocessing {kind!r}")


def _refuse_overflow(dataset: Dataset, x: Tensor) -> None:
    """Refuse unscaled numbers that are too large for models, which compute in 32 bits.

    Raises:
        DataError: a number is too large; with its row and column.
    """
    largest = torch.finfo(torch.float32).max
    if x.dtype != torch.float64 or not (x.abs() > largest).any():
        return
    row, *rest = (int(i) for i in (x.abs() > largest).nonzero()[0])
    what = f"column {dataset.columns[rest[0]].name!r}" if dataset.columns else "a pixel"
    value = x[(row, *rest)].item()
    raise DataError(
        f"{what} of {dataset.name} is {value:g} in row {row + 1}, but unscaled numbers must be at "
        f"most {largest:.2g}. Write scale: standard.",
        "data.scale",
    )
