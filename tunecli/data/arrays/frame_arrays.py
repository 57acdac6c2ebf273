"""Convert data frames from a user's function to arrays, without merging distinct numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.column_kinds import collapsed
from tunecli.errors import DataError


def frame_array(frame: pd.DataFrame, source: str) -> NDArray[Any]:
    """Return the columns of a data frame as one array; NaN where a cell is missing.

    Args:
        source: the name of the function in messages.

    Raises:
        DataError: a column does not hold numbers, or float64 would merge distinct numbers.
    """
    for name, column in frame.items():
        if not pd.api.types.is_numeric_dtype(column.dtype):
            raise DataError(
                f"column {str(name)!r} of {source} has {column.dtype} cells, but a function must "
                "return numbers. Convert the column to numbers, or save the table as .parquet or "
                ".csv and use that file as the source.",
                "data.source",
            )
    values: NDArray[Any] = frame.to_numpy()
    if values.dtype == object:  # whole numbers with gaps, or Booleans mixed with numbers
        values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    if values.dtype.kind == "f":
        _refuse_collapse(frame, values, source)
    return values


def _refuse_collapse(frame: pd.DataFrame, values: NDArray[Any], source: str) -> None:
    for (name, column), numbers in zip(frame.items(), values.T, strict=True):
        if (row := collapsed(column.reset_index(drop=True), numbers)) is not None:
            raise DataError(
                f"column {str(name)!r} of {source} has whole numbers beyond 2^53, such as "
                f"{column.iloc[row]} in row {row}, and float64 cannot tell some of them apart. "
                "Remove the column, or number its values from 0.",
                "data.source",
            )
