"""What a column to predict from holds: numbers or categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.cell_values import Floats, Where, as_numbers, coded
from tunecli.data.dataset import Column
from tunecli.data.date_features import DatePart, feature_name, parts_of, values_of
from tunecli.data.date_texts import Order
from tunecli.data.dates import Dates, dates_in
from tunecli.errors import DataError

MOSTLY_NUMBERS = 0.95
"""From this share of numbers on, a few texts are taken for mistakes,"""
FEW_TEXTS = 10
"""if there are at most so many different ones."""
FEWEST_ROWS_OF_IDS = 50
"""From so many rows on, a text that is different in most rows tells rows apart, nothing else."""


@dataclass(frozen=True)
class Cells:
    """One column's cells as numbers.

    Attributes:
        values: (n_rows,); codes of categories; NaN where missing.
        note: what a user should know of it; empty for nothing.
        dates: where the values are their elapsed times and other parts are to follow.
    """

    column: Column
    values: Floats
    note: str = ""
    dates: Dates | None = None

    def parts(self) -> list[Cells]:
        """What a model sees of it: itself, or the parts of a date."""
        if self.dates is None:
            return [self]
        name, form = self.column.name, self.dates.form
        return [
            Cells(
                Column(feature_name(name, part), date=DatePart(name, part, form)),
                values_of(self.dates, part),
            )
            for part in parts_of(self.dates)
        ]


def cells(
    series: pd.Series,
    given: Literal["numeric", "categorical", ""],
    where: Where,
    order: Order | None = None,
) -> Cells:
    """What a column holds: `given` if the user said so, else by its cells.

    Args:
        order: of day and month in dates that leave it open.

    Raises:
        DataError: texts among numbers or dates.
    """
    name = str(series.name)
    if given == "categorical":
        return _categories(series)
    if (dates := dates_in(series, order, where)) is not None:
        return Cells(Column(name), dates.elapsed, dates=None if given else dates)
    numbers, bad = as_numbers(series)
    if not bad.any():
        infinite = np.isinf(numbers)
        if infinite.any():
            place = where(int(infinite.argmax()))
            message = f"column {name!r} is infinite in {place}. Write an empty cell."
            raise DataError(message, "data.source")
        return Cells(Column(name), numbers)
    if given == "numeric" or are_mistakes(series, bad):
        raise DataError(text_among_numbers(series, bad, where), "data.source")
    found = _categories(series)
    share = 1 - bad.sum() / max(1, series.notna().sum())
    if share < MOSTLY_NUMBERS:
        return found
    note = f"Column {name!r} is {share:.0%} numbers, but taken for categories, as its texts are."
    return Cells(found.column, found.values, note)


def tells_rows_apart(found: Cells) -> bool:
    """Whether a column of categories has another one in most rows, as identifiers have."""
    there = int(np.isfinite(found.values).sum())
    n_categories = len(found.column.categories)
    return there >= FEWEST_ROWS_OF_IDS and n_categories > there / 2


def _categories(series: pd.Series) -> Cells:
    codes, labels = coded(series)
    values = codes.astype(np.float64)
    values[codes < 0] = np.nan
    return Cells(Column(str(series.name), "categorical", labels), values)


def are_mistakes(series: pd.Series, bad: NDArray[np.bool_]) -> bool:
    """Return whether the texts among the numbers are few enough to be mistakes."""
    share = 1 - bad.sum() / series.notna().sum()
    return bool(share >= MOSTLY_NUMBERS and series[bad].nunique() <= FEW_TEXTS)


def text_among_numbers(series: pd.Series, bad: NDArray[np.bool_], where: Where) -> str:
    """Return what to say of the first text among numbers."""
    first = int(bad.argmax())
    cell = str(series.iloc[first])[:50]
    others = f" (and {bad.sum() - 1:,} more)" if bad.sum() > 1 else ""
    return (
        f"column {series.name!r} has numbers, but {cell!r} in {where(first)}{others}. Correct it, "
        f"or write missing: [{cell!r}], or categorical: [{series.name}]."
    )
