"""Read a feature column as numbers, categories or dates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.cell_identity import categories_of
from tunecli.data.columns.cell_values import Floats, Where, as_numbers, is_text
from tunecli.data.columns.date_features import feature_name, parts_of, values_of
from tunecli.data.columns.date_texts import Order
from tunecli.data.columns.dates import Dates, dates_in
from tunecli.data.columns.lookalikes import refuse_lookalikes
from tunecli.data.columns.number_forms import PLAIN, NumberForm
from tunecli.data.columns.unread_numbers import FEW_TEXTS
from tunecli.data.rows.dataset import Column
from tunecli.data.rows.date_parts import DatePart
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings

FEWEST_ROWS_OF_IDS = 50
"""Fewest rows in which texts that differ in most rows count as identifiers."""
EXACT = 2**53
"""Largest number up to which a float64 holds every whole number."""


@dataclass(frozen=True)
class Cells:
    """One column's cells as numbers.

    Attributes:
        values: (n_rows,); the codes of categories; NaN if missing.
        note: what a user should know about the column; empty for nothing.
        dates: the dates, if the values are their elapsed times and other parts follow.
    """

    column: Column
    values: Floats
    note: str = ""
    dates: Dates | None = None

    def parts(self) -> list[Cells]:
        """Return the columns that a model gets: this one, or the parts of a date."""
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


@dataclass(frozen=True)
class Reading:
    """A way to read the cells of a table.

    Attributes:
        form: how numbers in text are written.
        order: the order of day and month in dates that leave it open.
        is_typed: whether the file distinguishes text from numbers, so that digits may be text.
    """

    form: NumberForm = PLAIN
    is_typed: bool = False
    order: Order | None = None

    @classmethod
    def of(cls, settings: DataSettings, is_typed: bool = False) -> Reading:
        """Return the way that the settings define."""
        return cls(NumberForm.of(settings), is_typed, settings.dates)


AS_IS = Reading()
"""The way to read cells without any settings."""


def cells(
    series: pd.Series,
    given: Literal["numeric", "categorical", ""],
    where: Where,
    reading: Reading = AS_IS,
) -> Cells:
    """Read a column as `given` if the user named its kind, else by its cells.

    Raises:
        DataError: there are texts among numbers or dates, or numbers equal in float64.
    """
    if given == "categorical":
        return _categories(series)
    if (dates := dates_in(series, reading.order, where)) is not None:
        return Cells(Column(str(series.name)), dates.elapsed, dates=None if given else dates)
    numbers, bad = as_numbers(series, reading.form)
    if given == "numeric" and bad.any():
        raise DataError(text_among_numbers(series, bad, where), "data.numeric")
    if reading.is_typed and not given and is_text(series) and not bad.any():
        return _digits(series, numbers, where)
    if bad.any():
        refuse_lookalikes(series, where)
        return _categories(series, _mixture(series, bad, where))
    infinite = np.isinf(numbers)
    if infinite.any():
        place = where(int(infinite.argmax()))
        message = f"column {series.name!r} is infinite in {place}. Leave the cell empty."
        raise DataError(message, "data.source")
    if not given:
        _refuse_collapse(series, numbers, where)
    return Cells(Column(str(series.name), unit=_unit(series, reading.form)), numbers)


def _unit(series: pd.Series, form: NumberForm) -> str | None:
    """Return the unit of a column of numbers; None where no unit is asked for."""
    if not form.units:
        return None
    return form.unit_in([cell for cell in series.dropna().unique() if isinstance(cell, str)])


def tells_rows_apart(cells: Cells) -> bool:
    """Return whether most rows have a unique category, as identifiers do."""
    there = int(np.isfinite(cells.values).sum())
    n_categories = len(cells.column.categories)
    return there >= FEWEST_ROWS_OF_IDS and n_categories > there / 2


def are_inexact(numbers: Floats) -> NDArray[np.bool_]:
    """Return which numbers are so large that several whole numbers share one float64."""
    return np.isfinite(numbers) & (np.abs(numbers) >= EXACT)


def text_among_numbers(series: pd.Series, bad: NDArray[np.bool_], where: Where) -> str:
    """Return the message on the first text in a column that must hold numbers."""
    first = int(bad.argmax())
    cell = str(series.iloc[first])[:50]
    others = f" (and {bad.sum() - 1:,} more)" if bad.sum() > 1 else ""
    has_numbers = bool((series.notna() & ~bad).any())
    are_few = series[bad].nunique() <= FEW_TEXTS and not any(c.isdigit() for c in cell)
    missing = f"missing: [{cell!r}], or " if has_numbers and are_few else ""
    holds = "numbers, but" if has_numbers else "no numbers:"
    return (
        f"column {series.name!r} has {holds} {cell!r} in {where(first)}{others}. "
        f"Correct it, or write {missing}categorical: [{series.name}]."
    )


def _categories(series: pd.Series, note: str = "") -> Cells:
    categories = categories_of(series)
    values = categories.codes.astype(np.float64)
    values[categories.codes < 0] = np.nan
    column = Column(str(series.name), "categorical", categories.labels, categories.told_by)
    return Cells(column, values, note)


def _mixture(series: pd.Series, bad: NDArray[np.bool_], where: Where) -> str:
    """Return a note on a category column in which some cells are numbers."""
    share = 1 - bad.sum() / series.notna().sum()
    if share == 0:
        return ""
    first = int(bad.argmax())
    return (
        f"Column {series.name!r} is {share:.0%} numbers, but also has various texts, such as "
        f"{str(series.iloc[first])[:50]!r} in {where(first)}. It is read as categories."
    )


def _digits(series: pd.Series, numbers: Floats, where: Where) -> Cells:
    """Return digits that are stored as text as categories, since they are codes.

    Raises:
        DataError: there are fractions among them, which are never codes.
    """
    name = series.name
    fractions = numbers % 1 != 0
    fractions &= ~np.isnan(numbers)
    if fractions.any():
        row = int(fractions.argmax())
        raise DataError(
            f"column {name!r} has numbers stored as text, such as {series.iloc[row]!r} in "
            f"{where(row)}. Write numeric: [{name}], or categorical: [{name}].",
            "data.source",
        )
    note = (
        f"Column {name!r} has digits stored as text and is read as categories. To read it as "
        f"numbers, write numeric: [{name}]."
    )
    return _categories(series, note)


def collapsed(series: pd.Series, numbers: Floats) -> int | None:
    """Return the first row whose number equals that of a different cell; None if all differ."""
    large = are_inexact(numbers)
    if not large.any():
        return None
    cells = series[large].drop_duplicates()
    twins = pd.Series(numbers, series.index)[cells.index].duplicated(keep=False)
    if not twins.any():
        return None
    return int(series.index.get_loc(cells.index[twins.to_numpy().argmax()]))


def _refuse_collapse(series: pd.Series, numbers: Floats, where: Where) -> None:
    if (row := collapsed(series, numbers)) is not None:
        raise DataError(
            f"column {series.name!r} has whole numbers beyond 2^53, such as {series.iloc[row]} in "
            f"{where(row)}, and float64 cannot tell some of them apart. Write "
            f"categorical: [{series.name}] or drop: [{series.name}], or numeric: [{series.name}] "
            "to round them.",
            "data.source",
        )
