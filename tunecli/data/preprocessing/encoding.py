"""Encode a table's features for a model, fitted on the training part alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

from tunecli.data.preprocessing.scaling import scaler_of
from tunecli.data.rows.dataset import Column
from tunecli.study_file.settings.settings import Component, DataSettings

Values = NDArray[np.floating]
BLOCK_ROWS = 8_192
"""Rows to transform at once, so that wide results are never in memory as float64."""

_MISSING, _UNKNOWN = -2, -1  # as OrdinalEncoder gives them; two are added


@dataclass(frozen=True)
class Encoder:
    """An encoder that was fitted on training rows, for any rows of the same columns.

    Attributes:
        transformer: the fitted transformer of scikit-learn.
        n_features: the number of features that a model gets.
        cardinalities: numbers of codes of the last features; empty if categories are one-hot.
    """

    transformer: ColumnTransformer
    n_features: int
    cardinalities: tuple[int, ...]

    def encode(self, x: Values, out: NDArray[np.float32]) -> None:
        """Encode `x`, (n, n_columns), into `out`, (n, n_features)."""
        for start in range(0, len(x), BLOCK_ROWS):
            block = self.transformer.transform(x[start : start + BLOCK_ROWS])
            out[start : start + BLOCK_ROWS] = block


def fit_encoder(
    columns: Sequence[Column],
    x_train: Values,
    settings: DataSettings,
    scale: Component | None,
    embeds: bool,
) -> Encoder:
    """Learn medians, scales and categories from the training rows.

    Numbers are imputed and scaled. A feature follows for each column with missing cells: 1 if the
    cell is missing. Each category, missing included, becomes one feature, and all rare ones share
    one; for models that embed categories, they become codes at the end.

    Args:
        columns: the columns of `x_train`.
        x_train: (n_train, n_columns); NaN is missing.
        settings: the settings; `impute`, `min_frequency`, and `split_seed` for scales that draw
            rows are read.
        scale: the scale of the numbers.
        embeds: whether the model takes codes.
    """
    numbers = [i for i, column in enumerate(columns) if column.kind == "numeric"]
    categories = [i for i, column in enumerate(columns) if column.kind == "categorical"]
    scaler = (
        "passthrough" if scale is None else scaler_of(scale, len(x_train), settings.split_seed)
    )
    parts: list[tuple[str, Any, list[int]]] = []
    if numbers:
        imputer = SimpleImputer(strategy=settings.impute, keep_empty_features=True)
        parts.append(("numbers", make_pipeline(imputer, scaler), numbers))
        with_holes = [i for i in numbers if columns[i].is_first and np.isnan(x_train[:, i]).any()]
        parts.append(("missing", MissingIndicator(features="all"), with_holes))
    if categories:
        encoder = _codes(settings) if embeds else _one_hot(settings)
        parts.append(("categories", encoder, categories))
    transformer = ColumnTransformer(parts, sparse_threshold=0).fit(x_train)
    n_features = transformer.transform(x_train[:1]).shape[1]
    codes = transformer.named_transformers_["categories"] if categories and embeds else None
    cardinalities = () if codes is None else _cardinalities(codes)
    return Encoder(transformer, n_features, cardinalities)


def _one_hot(settings: DataSettings) -> OneHotEncoder:
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=settings.min_frequency or None,
        sparse_output=False,
        dtype=np.float32,
    )


def _codes(settings: DataSettings) -> Any:
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=_UNKNOWN,
        encoded_missing_value=_MISSING,
        min_frequency=settings.min_frequency or None,
    )
    return make_pipeline(encoder, FunctionTransformer(_from_zero))


def _from_zero(codes: Values) -> Values:
    """Shift codes to 0 for missing, 1 for unknown, then the categories."""
    return codes + 2


def _cardinalities(codes: Any) -> tuple[int, ...]:
    """Count each column's codes: missing, unknown, and the categories of the training part."""
    encoder = codes[0]
    rare = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
    counts = []
    for categories, infrequent in zip(encoder.categories_, rare, strict=True):
        n = int((~np.isnan(categories)).sum())
        counts.append(2 + (n if infrequent is None else n - len(infrequent) + 1))
    return tuple(counts)
