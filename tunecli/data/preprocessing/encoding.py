"""Features of a table as a model takes them, fitted on the training part alone."""

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
"""Transformed at once, so that wide results are never in memory as float64."""

_MISSING, _UNKNOWN = -2, -1  # as OrdinalEncoder gives them; two are added


@dataclass(frozen=True)
class Encoder:
    """Fitted on training rows; encodes any rows of the same columns.

    Attributes:
        transformer: scikit-learn's, fitted.
        n_features: of a row as a model gets it.
        cardinalities: of the last features, which are codes; empty where categories are one-hot.
    """

    transformer: ColumnTransformer
    n_features: int
    cardinalities: tuple[int, ...]

    def encode(self, x: Values, out: NDArray[np.float32]) -> None:
        """Fill `out`, (n, n_features), with what a model gets of `x`, (n, n_columns)."""
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

    Numbers are imputed and scaled; for each column with a missing cell follows a feature that is 1
    where it is missing. Categories, a missing one among them, become one feature each, rare ones
    one together, or, for models that embed them, codes at the end.

    Args:
        columns: what the columns of `x_train` hold.
        x_train: (n_train, n_columns); NaN is missing.
        settings: `impute`, `min_frequency`, and `split_seed` for scales that draw rows.
        scale: of the numbers.
        embeds: the model takes codes.
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
    found = () if codes is None else _cardinalities(codes)
    return Encoder(transformer, n_features, found)


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
    """0 for missing, 1 for unknown, then the categories."""
    return codes + 2


def _cardinalities(codes: Any) -> tuple[int, ...]:
    """Codes of each column: missing, unknown, and what the training part has."""
    encoder = codes[0]
    rare = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
    counts = []
    for categories, infrequent in zip(encoder.categories_, rare, strict=True):
        n = int((~np.isnan(categories)).sum())
        counts.append(2 + (n if infrequent is None else n - len(infrequent) + 1))
    return tuple(counts)
