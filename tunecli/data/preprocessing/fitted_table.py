"""Preprocess a table's rows for a model: impute and scale numbers, encode categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from torch import Tensor

from tunecli.data.preprocessing.scaling import FittedScale, Floats, as_floats
from tunecli.data.rows.dataset import Column
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.texts import TextRows
from tunecli.study_file.settings.settings import Component, DataSettings

BLOCK_ROWS = 8_192
"""Rows to prepare at once, so that wide results are never in memory as float64."""

_MISSING, _UNKNOWN = -2, -1  # as OrdinalEncoder gives them; two are added


@dataclass(frozen=True)
class FittedTable:
    """A map from rows as read to rows as a model gets them, fitted on training rows.

    The features are the scaled numbers, then marks (1 if missing) of columns with missing numbers,
    then the categories: one feature each, missing included, and one for all rare ones; or, for
    models that embed categories, one code per column.

    Attributes:
        numbers: positions of the columns of numbers, (n_numbers,) int64.
        fill: the value that replaces a missing number, (n_numbers,).
        scale: the scale of the numbers.
        with_holes: positions of the columns whose missing cells are marked, int64.
        categories: positions of the category columns, int64.
        places: for each category column, the results of code 0, 1, …, of a missing cell, and of an
            unknown category, int64: the position of its feature among all one-hot ones, -1 for
            none; or its code.
        cardinalities: numbers of codes of the code columns; empty if categories are one-hot.
        n_features: the number of features that a model gets.
    """

    numbers: Tensor
    fill: Tensor
    scale: FittedScale
    with_holes: Tensor
    categories: Tensor
    places: tuple[Tensor, ...]
    cardinalities: tuple[int, ...]
    n_features: int
    kind = "table"
    tokens: ClassVar[None] = None

    @classmethod
    def fit(
        cls,
        columns: Sequence[Column],
        x: Floats,
        settings: DataSettings,
        scale: Component | None,
        embeds: bool,
    ) -> FittedTable:
        """Learn medians, scales and categories from training rows.

        Args:
            columns: the columns of `x`.
            x: (n_train, n_columns); NaN is missing.
            settings: the settings; `impute`, `min_frequency`, and `split_seed` for scales that
                draw rows are read.
            scale: the scale of the numbers.
            embeds: whether the model takes codes.
        """
        numbers = [i for i, column in enumerate(columns) if column.kind == "numeric"]
        are_holes: NDArray[np.bool_] = np.asarray(np.isnan(x).any(axis=0))
        with_holes = [i for i in numbers if columns[i].is_first and are_holes[i]]
        categories = [i for i, column in enumerate(columns) if column.kind == "categorical"]
        fill: NDArray[np.floating] = np.empty(0)
        fitted = FittedScale()
        if numbers:
            filled, fill = _imputed(x[:, numbers], are_holes[numbers], settings.impute)
            fitted = FittedScale.fit(scale, filled, settings.split_seed)
        places, width = _places(columns, categories, x, settings, embeds)
        return cls(
            numbers=torch.tensor(numbers, dtype=torch.int64),
            fill=torch.from_numpy(fill),
            scale=fitted,
            with_holes=torch.tensor(with_holes, dtype=torch.int64),
            categories=torch.tensor(categories, dtype=torch.int64),
            places=tuple(map(torch.from_numpy, places)),
            cardinalities=tuple(int(own.max()) + 1 for own in places) if embeds else (),
            n_features=len(numbers) + len(with_holes) + width,
        )

    def __call__(self, x: Tensor | TextRows) -> Tensor:
        """Turn rows as read, (n, n_columns), into (n, n_features) float32."""
        assert isinstance(x, Tensor)
        x = as_floats(x)
        parts = []
        if len(self.numbers):  # an exported graph stores no empty tensor
            numbers = x.index_select(1, self.numbers)
            parts.append(self.scale(torch.where(numbers.isnan(), self.fill.to(x.dtype), numbers)))
        if len(self.with_holes):
            parts.append(x.index_select(1, self.with_holes).isnan().float())
        if self.places:
            parts.append(self._encoded(x.index_select(1, self.categories)))
        return torch.cat(parts, dim=1)

    def _encoded(self, cells: Tensor) -> Tensor:
        """Encode the category columns, (n, n_categories)."""
        columns = zip(cells.unbind(1), self.places, strict=True)
        places = torch.stack([own[_index(column, len(own) - 2)] for column, own in columns], dim=1)
        if self.cardinalities:
            return places.float()
        n_one_hot = self.n_features - len(self.numbers) - len(self.with_holes)
        shape = (cells.shape[0], 1 + n_one_hot)  # the first is for cells without any
        one_hot = cells.new_zeros(shape, dtype=torch.float32)
        return one_hot.scatter(1, places + 1, 1.0)[:, 1:]

    def features(self, x: Tensor | LoadedRows | TextRows, rows: Tensor) -> Tensor:
        """Prepare rows of a whole data set for training."""
        return self.encode(x, rows, torch.empty(len(rows), self.n_features))

    def encode(self, x: Tensor | LoadedRows | TextRows, rows: Tensor, out: Tensor) -> Tensor:
        """Write the features of some rows of `x` into `out`, (n_rows, n_features)."""
        assert isinstance(x, Tensor), "loaded rows have no columns"
        parts = torch.split(out, BLOCK_ROWS)
        for some, part in zip(torch.split(rows, BLOCK_ROWS), parts, strict=True):
            part[...] = self(x[some])
        return out

    def tensors(self) -> dict[str, Tensor]:
        """Return everything for storage, by names that `restored` reads."""
        return {
            "numbers": self.numbers,
            "fill": self.fill,
            "with_holes": self.with_holes,
            "categories": self.categories,
            "cardinalities": torch.tensor(self.cardinalities, dtype=torch.int64),
            "n_features": torch.tensor([self.n_features]),
            **{f"places.{i}": own for i, own in enumerate(self.places)},
            **self.scale.tensors(),
        }

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor]) -> FittedTable:
        """Restore a table's preprocessing from what `tensors` returned.

        Raises:
            KeyError, ValueError: a tensor is missing or does not fit.
        """
        (n_features,) = tensors["n_features"].tolist()
        return cls(
            **_fields(tensors),
            cardinalities=tuple(tensors["cardinalities"].tolist()),
            n_features=int(n_features),
        )

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> FittedTable:
        """Return the same map with its tensors elsewhere, named as in `tensors`."""
        return replace(self, **_fields(tensors))


def _imputed(x: Floats, holes: NDArray[np.bool_], how: str) -> tuple[Floats, Floats]:
    """Return numbers without missing cells, and what replaces these in each column.

    Both are those of scikit-learn's SimpleImputer. Numpy has the same medians of columns without
    missing cells in a fifth of the time.

    Args:
        holes: the columns with missing cells, (n_columns,).
        how: `median`, `mean` or `most_frequent`.
    """
    imputer = SimpleImputer(strategy=how, keep_empty_features=True)
    if how != "median" or holes.all():
        return imputer.fit_transform(x), imputer.statistics_
    fill = np.median(x, axis=0)
    if holes.any():
        x[:, holes] = imputer.fit_transform(x[:, holes])
        fill[holes] = imputer.statistics_
    return x, fill


def _fields(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the attributes of a fitted table that are tensors, from what `tensors` returned."""
    names = ("numbers", "fill", "with_holes", "categories")
    places = [tensors[f"places.{i}"] for i in range(len(tensors["categories"]))]
    fields = {name: tensors[name] for name in names}
    return {**fields, "scale": FittedScale.restored(tensors), "places": tuple(places)}


def _index(cells: Tensor, n_categories: int) -> Tensor:
    """Return each cell's index into its column's `places`."""
    missing, unknown = n_categories, n_categories + 1
    is_known = (cells >= 0) & (cells < n_categories)
    codes = torch.where(is_known, cells, unknown)
    return torch.where(cells.isnan(), missing, codes).long()


def _places(
    columns: Sequence[Column],
    categories: Sequence[int],
    x: Floats,
    settings: DataSettings,
    embeds: bool,
) -> tuple[list[NDArray[np.int64]], int]:
    """Return the `places` of the category columns, and the number of their features."""
    places: list[NDArray[np.int64]] = []
    n_features = 0
    for i in categories:
        n_categories = len(columns[i].categories)
        asked = np.array([*range(n_categories), np.nan, n_categories])[:, None]
        if embeds:
            places.append(_codes(x[:, [i]], asked, settings))
            n_features += 1
        else:
            own = _one_hot(x[:, [i]], asked, settings)
            places.append(np.where(own < 0, own, own + n_features))
            n_features += int(own.max()) + 1
    return places, n_features


def _codes(cells: Floats, asked: Floats, settings: DataSettings) -> NDArray[np.int64]:
    """Return the code of what is asked: 0 for missing, 1 for unknown, then the categories."""
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=_UNKNOWN,
        encoded_missing_value=_MISSING,
        min_frequency=settings.min_frequency or None,
    )
    codes: Floats = encoder.fit(cells).transform(asked)
    return codes[:, 0].astype(np.int64) + 2


def _one_hot(cells: Floats, asked: Floats, settings: DataSettings) -> NDArray[np.int64]:
    """Return the number of the feature of what is asked, in this column; -1 for none."""
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=settings.min_frequency or None
    )
    encoded = encoder.fit(cells).transform(asked)
    features = np.full(encoded.shape[0], -1)
    rows, positions = encoded.nonzero()
    features[rows] = positions
    return features
