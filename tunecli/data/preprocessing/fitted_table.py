"""Fitted preprocessing of a table as plain arrays, without pickle and without scikit-learn.

What `encoding.fit_encoder` learned is read off once; encoding with it gives the same bits.
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
    """From rows as they were read to rows as a model gets them.

    The features are the scaled numbers, then 1 for each missing number of a column that had some,
    then the categories: one feature each, or one code a column.

    Attributes:
        numbers: positions of the columns of numbers, (n_numbers,) int64.
        fill: what stands for a missing number, (n_numbers,).
        scale: of the numbers.
        with_holes: positions of the columns whose missing cells are marked, int64.
        categories: positions of the columns of categories, int64.
        places: of each column of categories, what becomes of code 0, 1, …, of a missing cell, and
            of a category that is unknown, int64: the place of its feature among all one-hot ones,
            -1 for none; or its code.
        cardinalities: of the columns of codes; empty where categories are one-hot.
        n_features: of a row as a model gets it.
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
        """Read what an encoder learned from rows of that type."""
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
            found = places[_index(x[:, column], len(places) - 2)]
            if self.cardinalities:
                out[:, end + number] = found
            else:
                has_feature = found >= 0
                out[rows[has_feature], end + found[has_feature]] = 1
        return out

    def arrays(self) -> dict[str, Array]:
        """To be stored, by names that `restored` reads."""
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
        """From what `arrays` gave.

        Raises:
            KeyError, ValueError: something is missing or does not fit.
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
    """Where `places` says what becomes of each cell."""
    missing, unknown = n_categories, n_categories + 1
    is_known = (cells >= 0) & (cells < n_categories)
    codes = np.where(is_known, cells, unknown)
    index: Array = np.where(np.isnan(cells), missing, codes).astype(np.int64)
    return index


def _places(encoder: Any, widths: Sequence[int], are_codes: bool) -> tuple[Array, ...]:
    """Ask an encoder for every code, a missing cell and an unknown one, of every column."""
    most = max(widths)
    asked = np.empty((most + 2, len(widths)))
    for column, width in enumerate(widths):
        asked[:, column] = [*range(width), np.nan, *[most + 1.0] * (most - width + 1)]
    told = np.asarray(encoder.transform(asked))
    places = []
    start = 0
    for column, width in enumerate(widths):
        if are_codes:
            found = told[: width + 2, column].astype(np.int64)
        else:
            n = _n_one_hot(encoder, column)
            block = told[: width + 2, start : start + n]
            found = np.where(block.any(axis=1), start + block.argmax(axis=1), -1).astype(np.int64)
            start += n
        places.append(found)
    return tuple(places)


def _n_one_hot(encoder: Any, column: int) -> int:
    """Features of one column."""
    rare = getattr(encoder, "infrequent_categories_", None)
    n_categories, n_rare = len(encoder.categories_[column]), 0
    if rare is not None and rare[column] is not None:
        n_rare = len(rare[column]) - 1
    return n_categories - n_rare
