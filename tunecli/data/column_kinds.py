"""What a column to predict from holds: numbers or categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.cell_identity import categories_of
from tunecli.data.cell_values import Floats, Where, as_numbers, is_text
from tunecli.data.dataset import Column
from tunecli.data.date_features import DatePart, feature_name, parts_of, values_of
from tunecli.data.date_texts import Order
from tunecli.data.dates import Dates, dates_in
from tunecli.data.lookalikes import refuse_lookalikes
from tunecli.data.number_forms import PLAIN, NumberForm
from tunecli.data.unread_numbers import FEW_TEXTS
from tunecli.errors import DataError
from tunecli.study_file.settings import DataSettings

FEWEST_ROWS_OF_IDS = 50
"""From so many rows on, a text that is different in most rows tells rows apart, nothing else."""
EXACT = 2**53
"""Up to here a float64 holds every whole number."""


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


@dataclass(frozen=True)
class Reading:
    """How the cells of a table are read.

    Attributes:
        form: of numbers in text.
        order: of day and month in dates that leave it open.
        is_typed: the file tells text from numbers, so that text of digits is text.
    """

    form: NumberForm = PLAIN
    is_typed: bool = False
    order: Order | None = None

    @classmethod
    def of(cls, settings: DataSettings, is_typed: bool = False) -> Reading:
        """As the settings say."""
        return cls(NumberForm.of(settings), is_typed, settings.dates)


AS_IS = Reading()
"""Without a word from the user."""


def cells(
    series: pd.Series,
    given: Literal["numeric", "categorical", ""],
    where: Where,
    reading: Reading = AS_IS,
) -> Cells:
    """What a column holds: `given` if the user said so, else by its cells.

    Raises:
        DataError: texts among numbers or dates, or numbers that a float64 does not tell apart.
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
        message = f"column {series.name!r} is infinite in {place}. Write an empty cell."
        raise DataError(message, "data.source")
    if not given:
        _refuse_collapse(series, numbers, where)
    return Cells(Column(str(series.name), unit=_unit(series, reading.form)), numbers)


def _unit(series: pd.Series, form: NumberForm) -> str | None:
    """Return the unit of a column of numbers; None where no unit is asked for."""
    if not form.units:
        return None
    return form.unit_in([cell for cell in series.dropna().unique() if isinstance(cell, str)])


def tells_rows_apart(found: Cells) -> bool:
    """Whether a column of categories has another one in most rows, as identifiers have."""
    there = int(np.isfinite(found.values).sum())
    n_categories = len(found.column.categories)
    return there >= FEWEST_ROWS_OF_IDS and n_categories > there / 2


def are_inexact(numbers: Floats) -> NDArray[np.bool_]:
    """Return which numbers are so large that several whole numbers are one float64."""
    return np.isfinite(numbers) & (np.abs(numbers) >= EXACT)


def text_among_numbers(series: pd.Series, bad: NDArray[np.bool_], where: Where) -> str:
    """Return what to say of the first text in a column that must be numbers."""
    first = int(bad.argmax())
    cell = str(series.iloc[first])[:50]
    others = f" (and {bad.sum() - 1:,} more)" if bad.sum() > 1 else ""
    has_numbers = bool((series.notna() & ~bad).any())
    are_few = series[bad].nunique() <= FEW_TEXTS and not any(c.isdigit() for c in cell)
    missing = f"missing: [{cell!r}], or " if has_numbers and are_few else ""
    holds = "numbers" if has_numbers else "no number"
    return (
        f"column {series.name!r} has {holds}, but {cell!r} in {where(first)}{others}. "
        f"Correct it, or write {missing}categorical: [{series.name}]."
    )


def _categories(series: pd.Series, note: str = "") -> Cells:
    found = categories_of(series)
    values = found.codes.astype(np.float64)
    values[found.codes < 0] = np.nan
    column = Column(str(series.name), "categorical", found.labels, found.told_by)
    return Cells(column, values, note)


def _mixture(series: pd.Series, bad: NDArray[np.bool_], where: Where) -> str:
    """Return a note on a column of categories of which some are numbers."""
    share = 1 - bad.sum() / series.notna().sum()
    if share == 0:
        return ""
    first = int(bad.argmax())
    return (
        f"Column {series.name!r} is {share:.0%} numbers, but has various texts, such as "
        f"{str(series.iloc[first])[:50]!r} in {where(first)}: it is read as categories."
    )


def _digits(series: pd.Series, numbers: Floats, where: Where) -> Cells:
    """Return digits that are stored as text, as the codes that they are.

    Raises:
        DataError: there are fractions among them, which nobody uses as codes.
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
        f"Column {name!r} is text of digits and read as categories. For numbers write "
        f"numeric: [{name}]."
    )
    return _categories(series, note)


def collapsed(series: pd.Series, numbers: Floats) -> int | None:
    """Return the first row whose number is that of a row with another cell; None if none is."""
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
            f"{where(row)}, of which several are one number in float64. Write "
            f"categorical: [{series.name}] or drop: [{series.name}], or numeric: [{series.name}] "
            "to round them.",
            "data.source",
        )
