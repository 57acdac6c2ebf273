"""Scikit-learn's scalers for the names in `data.scale`."""

from __future__ import annotations

from typing import Any

from sklearn.preprocessing import (
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component

_PLAIN = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}


def scaler_of(scale: Component, n_rows: int, seed: int) -> Any:
    """Return scikit-learn's transformer, not yet fitted, with at most as many quantiles as rows.

    Args:
        scale: `standard` (mean 0, standard deviation 1), `minmax` (0 to 1), `robust` (median 0,
            quartiles 1 apart) or `quantile` (by rank, to a normal distribution by default).
        n_rows: the number of rows that it will be fitted on.
        seed: the seed for drawing the rows from which `quantile` takes its quantiles.
    """
    if scale.name in _PLAIN:
        given = scale.arguments.items()  # YAML has lists where scikit-learn wants tuples
        return _PLAIN[scale.name](**{k: tuple(v) if isinstance(v, list) else v for k, v in given})
    if scale.name != "quantile":
        known = "standard, minmax, robust or quantile"
        raise DataError(f"unknown data.scale {scale.name!r}: write {known}.")
    arguments = {"n_quantiles": 1000, "output_distribution": "normal", **scale.arguments}
    if arguments["n_quantiles"] < 1:
        raise DataError(f"n_quantiles must be at least 1, but got {arguments['n_quantiles']}.")
    arguments["n_quantiles"] = min(arguments["n_quantiles"], n_rows)
    return QuantileTransformer(**arguments, random_state=seed)
