"""Fitted preprocessing of a table as plain arrays, without pickle and without scikit-learn.

What `encoding.fit_encoder` learned is read off once; it encodes to the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tunecli.data.preprocessing.encoding import Encoder
from tunecli.data.preprocessing.fitted_scale import FittedScale
from tunecli.data.rows.dataset import Column

Array = NDArray[Any]


@dataclass(frozen=True)
class FittedTable:
    """A map from rows as read to rows as a model gets them.

    The features are the scaled numbers, then marks (1 if missing) of columns with missing numbers,
    then the categories: one feature each, or one code per column.

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

    numbers: Array
    fill: Array
    scale: FittedScale
    with_holes: Array
    categories: Array
    places: tuple[Array, ...]
    cardinalities: tuple[int, ...]
    n_features: int

    @classmethod
    def of(cls, encoder: Encoder, columns: Sequence[Column], dtype: DTypeLike) -> FittedTable:
        """Read off what an encoder learned from rows of `dtype`."""
        parts = {name: (part, rows) for name, part, rows in encoder.transformer.transformers_}
        fill, scale = np.empty(0), FittedScale()
        if "numbers" in parts:
            imputer, scaler = (step for _, step in parts["numbers"][0].steps)
            fill = imputer.statistics_
            scale = FittedScale() if scaler == "passthrough" else FittedScale.of(scaler, dtype)
        positions = {
            name: np.array(parts[name][1] if name in parts else [], dtype=np.int64)
            for name in ("numbers", "missing", "categories")
        }
        places: tuple[Array, ...] = ()
        if "categories" in parts:
            widths = [len(columns[i].categories) for i in positions["categories"]]
            places = _places(parts["categories"][0], widths, bool(encoder.cardinalities))
        return cls(
            numbers=positions["numbers"],
            fill=fill,
            scale=scale,
            with_holes=positions["missing"],
            categories=positions["categories"],
            places=places,
            cardinalities=encoder.cardinalities,
            n_features=encoder.n_features,
        )

    def __call__(self, x: Array) -> Array:
        """Encode rows (n, n_columns) as (n, n_features) float32."""
        out = np.zeros((len(x), self.n_features), dtype=np.float32)
        numbers = x[:, self.numbers]
        if len(self.numbers):
            filled = np.where(np.isnan(numbers), self.fill.astype(x.dtype), numbers)
            out[:, : len(self.numbers)] = self.scale.transform(filled)
        end = len(self.numbers) + len(self.with_holes)
        out[:, len(self.numbers) : end] = np.isnan(x[:, self.with_holes])
        rows = np.arange(len(x))
        for number, (column, places) in enumerate(zip(self.categories, self.places, strict=True)):
            place = places[_index(x[:, column], len(places) - 2)]
            if self.cardinalities:
                out[:, end + number] = place
            else:
                has_feature = place >= 0
                out[rows[has_feature], end + place[has_feature]] = 1
        return out

    def arrays(self) -> dict[str, Array]:
        """Return everything for storage, by names that `restored` reads."""
        places = {f"places.{i}": array for i, array in enumerate(self.places)}
        return {
            "numbers": self.numbers,
            "fill": self.fill,
            "with_holes": self.with_holes,
            "categories": self.categories,
            "cardinalities": np.array(self.cardinalities, dtype=np.int64),
            "n_features": np.array([self.n_features], dtype=np.int64),
            **places,
            **self.scale.arrays(),
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, Array]) -> FittedTable:
        """Restore a table's preprocessing from what `arrays` returned.

        Raises:
            KeyError, ValueError: an array is missing or does not fit.
        """
        n_categories = len(arrays["categories"])
        return cls(
            numbers=arrays["numbers"],
            fill=arrays["fill"],
            scale=FittedScale.restored(arrays),
            with_holes=arrays["with_holes"],
            categories=arrays["categories"],
            places=tuple(arrays[f"places.{i}"] for i in range(n_categories)),
            cardinalities=tuple(arrays["cardinalities"].tolist()),
            n_features=int(arrays["n_features"][0]),
        )


def _index(cells: Array, n_categories: int) -> Array:
    """Return each cell's index into `places`."""
    missing, unknown = n_categories, n_categories + 1
    is_known = (cells >= 0) & (cells < n_categories)
    codes = np.where(is_known, cells, unknown)
    index: Array = np.where(np.isnan(cells), missing, codes).astype(np.int64)
    return index


def _places(encoder: Any, widths: Sequence[int], are_codes: bool) -> tuple[Array, ...]:
    """Encode every code, a missing cell and an unknown one of every column."""
    most = max(widths)
    asked = np.empty((most + 2, len(widths)))
    for column, width in enumerate(widths):
        asked[:, column] = [*range(width), np.nan, *[most + 1.0] * (most - width + 1)]
    encoded = np.asarray(encoder.transform(asked))
    places = []
    start = 0
    for column, width in enumerate(widths):
        if are_codes:
            place = encoded[: width + 2, column].astype(np.int64)
        else:
            n = _n_one_hot(encoder, column)
            block = encoded[: width + 2, start : start + n]
            place = np.where(block.any(axis=1), start + block.argmax(axis=1), -1).astype(np.int64)
            start += n
        places.append(place)
    return tuple(places)


def _n_one_hot(encoder: Any, column: int) -> int:
    """Count the features of one column."""
    rare = getattr(encoder, "infrequent_categories_", None)
    n_categories, n_rare = len(encoder.categories_[column]), 0
    if rare is not None and rare[column] is not None:
        n_rare = len(rare[column]) - 1
    return n_categories - n_rare
