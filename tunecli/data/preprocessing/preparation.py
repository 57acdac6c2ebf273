"""Prepare the features of two sets of rows for a model, fitted on the first set alone.

In a fold, the sets are its training and its validation part; for a final fit, all rows of the
search and those of the test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from torch import Tensor

from tunecli import __version__
from tunecli.data.cache.entries import SMALL, NewArray, kept, key_of
from tunecli.data.preprocessing.encoding import fit_encoder
from tunecli.data.preprocessing.loaded_features import LoadedFeatures
from tunecli.data.preprocessing.number_scale import fit_number_scale
from tunecli.data.preprocessing.picture_features import PictureFeatures
from tunecli.data.preprocessing.pixel_scale import fit_pixel_scale, level_counts
from tunecli.data.preprocessing.scale_rows import as_floats, keeps_integers, scaled
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.features import Features
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component, DataSettings


@dataclass(frozen=True)
class Prepared:
    """Features of the rows that preprocessing was fitted on, and of the others.

    Attributes:
        cat_cardinalities: see `FoldData`.
    """

    x_train: Tensor | Features
    x_valid: Tensor | Features
    cat_cardinalities: tuple[int, ...] = ()

    @property
    def n_bytes(self) -> int:
        """Bytes of the tensors; pictures are not counted, since all folds share the data set's."""
        return sum(x.nbytes for x in (self.x_train, self.x_valid) if isinstance(x, Tensor))


def prepared(
    dataset: Dataset,
    train: Tensor,
    valid: Tensor,
    settings: DataSettings,
    scale: Component | None,
    embeds: bool = False,
    cache: Path | None = None,
    *,
    integers: bool = False,
) -> Prepared:
    """Fit preprocessing on `train`, and apply it to both sets.

    Args:
        train, valid: rows of the data set, (n,) int64 each.
        settings: the settings; `impute`, `min_frequency` and `split_seed` are read.
        scale: the scale of a table's numbers, or of pictures' channels; None for no scaling.
        embeds: whether the model takes categories as codes, not one-hot.
        cache: where the result is cached for other processes; None to keep it in memory.
        integers: whether unscaled whole numbers of arrays stay int64.
    """
    x = dataset.x
    if isinstance(x, Tensor) and keeps_integers(x, scale, integers):
        return Prepared(x[train], x[valid])
    if scale is None and isinstance(x, Tensor):
        _refuse_overflow(dataset, x)
    if dataset.columns:
        return _table(dataset, train, valid, settings, scale, embeds, cache)
    if x.dtype == torch.uint8:
        return _pictures(dataset, train, valid, settings, scale, cache)
    if isinstance(x, LoadedRows):
        numbers = fit_number_scale(x, train, scale, dataset.fingerprint, cache, integers=integers)
        return Prepared(LoadedFeatures(x, train, numbers), LoadedFeatures(x, valid, numbers))
    x_train, x_valid = as_floats(x[train]), as_floats(x[valid])
    return Prepared(*scaled(x_train, x_valid, scale, settings.split_seed))


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


def _pictures(
    dataset: Dataset,
    train: Tensor,
    valid: Tensor,
    settings: DataSettings,
    scale: Component | None,
    cache: Path | None,
) -> Prepared:
    x = dataset.x
    where = None if dataset.x_bytes <= SMALL else cache
    counts = level_counts(x, train, dataset.fingerprint, where)
    fitted = fit_pixel_scale(counts, scale, settings.split_seed)
    if isinstance(x, LoadedRows):
        return Prepared(LoadedFeatures(x, train, fitted), LoadedFeatures(x, valid, fitted))
    return Prepared(PictureFeatures(x, train, fitted), PictureFeatures(x, valid, fitted))


def _table(
    dataset: Dataset,
    train: Tensor,
    valid: Tensor,
    settings: DataSettings,
    scale: Component | None,
    embeds: bool,
    cache: Path | None,
) -> Prepared:
    x = dataset.x
    assert isinstance(x, Tensor), "loaded rows have no columns"

    def make(new: NewArray) -> Mapping[str, Any]:
        x_train, x_valid = (as_floats(x[rows]).numpy() for rows in (train, valid))
        encoder = fit_encoder(dataset.columns, x_train, settings, scale, embeds)
        width = encoder.n_features
        encoder.encode(x_train, new("x_train", (len(train), width), np.float32))
        encoder.encode(x_valid, new("x_valid", (len(valid), width), np.float32))
        return {"cardinalities": encoder.cardinalities}

    key = key_of(
        "fold",
        dataset.fingerprint,
        [hashlib.sha256(rows.numpy().tobytes()).hexdigest() for rows in (train, valid)],
        settings.model_dump(include={"impute", "min_frequency", "split_seed"}),
        scale.model_dump() if scale is not None else None,
        embeds,
        [(column.kind, column.is_first) for column in dataset.columns],
        [__version__, np.__version__, sklearn.__version__],
    )
    entry = kept(None if dataset.x_bytes <= SMALL else cache, key, make)
    return Prepared(
        torch.from_numpy(entry.arrays["x_train"]),
        torch.from_numpy(entry.arrays["x_valid"]),
        tuple(entry.facts["cardinalities"]),
    )
