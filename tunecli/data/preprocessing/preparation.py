"""Fit preprocessing to the training rows of any data set, and prepare its rows for a model.

In a fold, the rows are its training part; for a final fit, all rows of the search.
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
from tunecli.data.preprocessing.fitted_numbers import FittedNumbers, fit_loaded_numbers
from tunecli.data.preprocessing.fitted_pixels import FittedPixels, level_counts
from tunecli.data.preprocessing.fitted_table import FittedTable
from tunecli.data.preprocessing.scaling import FittedScale, as_columns, as_floats
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.features import Features
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component, DataSettings

Preprocessing = FittedTable | FittedPixels | FittedNumbers
"""Preprocessing that was fitted on some rows, for any rows of the same kind.

Each kind has a word for `model.json`, `kind`; is called with rows as read, (n, …), to get rows as
a model gets them; and returns all that was fitted as named `tensors`, which
`restored_preprocessing` reads. `cardinalities` are as in `FoldData`.
"""


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
    if not dataset.columns or keeps_integers(x, scale, integers):
        fitted = fit_preprocessing(
            dataset, train, settings, scale, embeds, cache, integers=integers
        )
        return Prepared(fitted.features(x, train), fitted.features(x, valid))

    def make(new: NewArray) -> Mapping[str, Any]:
        table = fit_preprocessing(dataset, train, settings, scale, embeds)
        assert isinstance(table, FittedTable)
        for name, rows in (("x_train", train), ("x_valid", valid)):
            out = new(name, (len(rows), table.n_features), np.float32)
            table.encode(x, rows, torch.from_numpy(out))
        return {"cardinalities": table.cardinalities}

    key = _table_key(dataset, (train, valid), settings, scale, embeds)
    entry = kept(None if dataset.x_bytes <= SMALL else cache, key, make)
    return Prepared(
        torch.from_numpy(entry.arrays["x_train"]),
        torch.from_numpy(entry.arrays["x_valid"]),
        tuple(entry.facts["cardinalities"]),
    )


def _table_key(
    dataset: Dataset,
    parts: tuple[Tensor, Tensor],
    settings: DataSettings,
    scale: Component | None,
    embeds: bool,
) -> str:
    return key_of(
        "fold",
        dataset.fingerprint,
        [hashlib.sha256(rows.numpy().tobytes()).hexdigest() for rows in parts],
        settings.model_dump(include={"impute", "min_frequency", "split_seed"}),
        scale.model_dump() if scale is not None else None,
        embeds,
        [(column.kind, column.is_first) for column in dataset.columns],
        [__version__, np.__version__, sklearn.__version__],
    )


def fit_preprocessing(
    dataset: Dataset,
    rows: Tensor,
    settings: DataSettings,
    scale: Component | None,
    embeds: bool,
    cache: Path | None = None,
    *,
    integers: bool = False,
) -> Preprocessing:
    """Fit to `rows` of a data set, (n,) int64; for other arguments see `prepared`."""
    x = dataset.x
    are_whole = keeps_integers(x, scale, integers)
    if isinstance(x, LoadedRows) and x.dtype != torch.uint8:
        fingerprint = dataset.fingerprint
        return fit_loaded_numbers(x, rows, scale, fingerprint, cache, are_whole=are_whole)
    if isinstance(x, Tensor) and are_whole:
        return FittedNumbers(FittedScale(), are_whole=True)
    if isinstance(x, Tensor) and scale is None:
        _refuse_overflow(dataset, x)
    if isinstance(x, Tensor) and dataset.columns:
        cells = as_floats(x[rows]).numpy()
        return FittedTable.fit(dataset.columns, cells, settings, scale, embeds)
    if isinstance(x, Tensor) and x.dtype != torch.uint8:
        columns = as_columns(as_floats(x[rows]))
        return FittedNumbers(FittedScale.fit(scale, columns, settings.split_seed))
    counts = level_counts(
        x, rows, dataset.fingerprint, None if dataset.x_bytes <= SMALL else cache
    )
    return FittedPixels.fit(counts, scale, settings.split_seed)


def restored_preprocessing(kind: str, tensors: Mapping[str, Tensor]) -> Preprocessing:
    """Restore preprocessing from its `kind` and what `tensors` returned.

    Raises:
        KeyError, ValueError: a tensor is missing or does not fit.
    """
    if kind == "table":
        return FittedTable.restored(tensors)
    if kind == "pixels":
        return FittedPixels.restored(tensors)
    if kind == "integers":
        return FittedNumbers(FittedScale(), are_whole=True)
    if kind == "numbers":
        return FittedNumbers(FittedScale.restored(tensors))
    raise ValueError(f"unknown preprocessing {kind!r}")


def keeps_integers(x: Tensor | LoadedRows, scale: Component | None, integers: bool) -> bool:
    """Return whether rows stay whole numbers: a model wants them, and nothing scales them."""
    return integers and scale is None and x.dtype == torch.int64


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
