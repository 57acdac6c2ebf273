"""The cells of one column of a table as numbers, and columns of numbers and of categories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns import cell_values
from tunecli.data.columns.cell_values import Floats, Where
from tunecli.data.columns.date_texts import Order
from tunecli.data.columns.number_forms import PLAIN, NumberForm
from tunecli.data.columns.unread_cells import refuse_lookalikes, text_among_numbers
from tunecli.data.rows.dataset import Column
from tunecli.data.text.unspaced_scripts import n_words
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.dump import flow

Given = Literal["numeric", "categorical", "text", ""]
"""The kind that the user names; empty if the cells decide."""
Use = tuple[str, Sequence[str]]
"""The features that a column becomes, in words; and warnings."""

FEWEST_ROWS = 10
"""With fewer rows, distinct cells or ordered dates may be chance."""
FEWEST_WORDS = 3
"""Fewest words, on average, of texts that count as sentences."""
FEWEST_ROWS_OF_IDS = 50
"""Fewest rows in which texts that differ in most rows count as identifiers."""
_DIGITS = 10
"""Largest number of digits of whole numbers that are shown in full."""
_FIRST_DAY, _LAST_DAY = 19_000_101, 21_001_231
_SCALES = {"standard": "standardized", "none": "unscaled"}


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


@dataclass(frozen=True)
class Cells:
    """A column of numbers; another kind of column is a child, and a line in `KINDS`.

    Attributes:
        values: (n_rows,); the codes of categories; NaN if missing.
        note: what a user should know about the column; empty for nothing.
    """

    column: Column
    values: Floats
    note: str = ""

    @classmethod
    def read(cls, series: pd.Series, given: Given, where: Where, reading: Reading) -> Cells | None:
        """Read a column of a study; None if it is not of this kind.

        Columns with texts among numbers, or with digits stored as text, are not.

        Raises:
            DataError: it is of this kind, but has cells that cannot be read.
        """
        numbers, bad = cell_values.as_numbers(series, reading.form)
        if given and bad.any():
            raise DataError(text_among_numbers(series, bad, where), "data.numeric")
        if bad.any() or (reading.is_typed and not given and cell_values.is_text(series)):
            return None
        _refuse_infinite(series, numbers, where, "data.source")
        if not given and (row := cell_values.collapsed(series, numbers)) is not None:
            raise DataError(
                f"column {series.name!r} has whole numbers beyond 2^53, such as "
                f"{series.iloc[row]} in {where(row)}, and float64 cannot tell some of them apart. "
                f"Write categorical: [{series.name}] or drop: [{series.name}], or numeric: "
                f"[{series.name}] to round them.",
                "data.source",
            )
        return cls(Column(str(series.name), unit=_unit(series, reading.form)), numbers)

    @staticmethod
    def read_new(
        series: pd.Series, columns: Sequence[Column], where: Where, reading: Reading
    ) -> Iterator[Floats]:
        """Read new rows as each of the columns that a model has from this one, (n_rows,).

        Raises:
            DataError: a cell cannot be read as in training: numbers have another unit.
        """
        unit = columns[0].unit
        numbers, bad = cell_values.as_numbers(series, replace(reading.form, unit=unit))
        if unit:
            is_text = np.array([isinstance(cell, str) for cell in series], dtype=bool)
            bad |= series.notna().to_numpy() & ~is_text
        if bad.any():
            row = int(bad.argmax())
            with_unit = "without a unit" if unit == "" else f"in {unit}"
            wanted = "numbers" if unit is None else f"numbers {with_unit}, as in training"
            raise DataError(
                f"column {series.name!r} must have {wanted}, but {where(row)} has "
                f"{str(series.iloc[row])[:50]!r}. Correct it, or leave the cell empty."
            )
        _refuse_infinite(series, numbers, where, "")
        yield numbers

    @cached_property
    def content(self) -> tuple[object, ...]:
        """What a column that holds the same has in common with it, and no other."""
        return (hashlib.sha256(np.ascontiguousarray(self.values).data).digest(),)

    def ends(self, low: float, high: float) -> Sequence[str]:
        """Return the least and the largest value as text, with enough digits that they differ."""
        return [_shown(end, high - low) for end in (low, high)]

    def warnings(self, there: Floats, distinct: Floats) -> Iterator[str]:
        """Warn about whole numbers that may be ids or dates.

        Args:
            there: all values, without missing ones.
        """
        name = self.column.name
        if not len(there) or (np.mod(distinct, 1) != 0).any():
            return
        if len(distinct) == len(there) >= FEWEST_ROWS:
            yield (
                f"Column {name!r} has a different whole number in every row. If it is an id, "
                f"write drop: [{flow(name)}]."
            )
        if _FIRST_DAY <= distinct[0] and distinct[-1] <= _LAST_DAY:
            texts = pd.Series(distinct.astype(np.int64)).astype(str)
            if pd.to_datetime(texts, format="%Y%m%d", errors="coerce").notna().all():
                yield (
                    f"Column {name!r} looks like dates written as numbers ({texts.iloc[0]}). To "
                    "use them as dates, write them as 2026-01-31."
                )

    @staticmethod
    def use(columns: Sequence[Column], x: Floats, data: DataSettings) -> Use:
        """Return what the training rows of a model's columns, (n_rows, n_columns), become."""
        scale = "none" if data.scale is None else data.scale.name
        return with_marks([_SCALES.get(scale, scale)], x), ()

    def parts(self) -> Sequence[Cells]:
        """Return the columns that a model gets: this one, or several in its place."""
        return [self]

    @property
    def kind(self) -> str:
        """The kind of the column, for people."""
        return "number"

    @property
    def are_in_order(self) -> bool:
        """Whether the rows are sorted by time."""
        return False

    @property
    def tell_rows_apart(self) -> bool:
        """Whether most rows have a unique category, as identifiers do."""
        there = int(np.isfinite(self.values).sum())
        return there >= FEWEST_ROWS_OF_IDS and len(self.column.categories) > there / 2

    @property
    def are_sentences(self) -> bool:
        """Whether most rows have a unique text of several words."""
        there = int(np.isfinite(self.values).sum())
        n_all = sum(n_words(text) for text in self.column.categories)
        n_texts = len(self.column.categories)
        is_long = n_all >= FEWEST_WORDS * n_texts
        return there >= FEWEST_ROWS and n_texts > there / 2 and is_long


@dataclass(frozen=True)
class CategoryCells(Cells):
    """A column of categories; see `Cells`."""

    @classmethod
    def read(cls, series: pd.Series, given: Given, where: Where, reading: Reading) -> Cells:
        """Read any column as categories; texts that look like dates or numbers are refused."""
        note = "" if given else _note(series, where, reading)
        categories = cell_values.categories_of(series)
        column = Column(str(series.name), "categorical", categories.labels, categories.told_by)
        return cls(column, _as_values(categories.codes), note)

    @classmethod
    def as_texts(cls, series: pd.Series) -> CategoryCells:
        """Return the cells of any column, however it is written, for people."""
        codes, labels = pd.factorize(series.astype(str).where(series.notna()), sort=True)
        return cls(Column(str(series.name), "categorical", tuple(labels)), _as_values(codes))

    @staticmethod
    def read_new(
        series: pd.Series, columns: Sequence[Column], where: Where, reading: Reading
    ) -> Iterator[Floats]:
        """Return the codes of the model's categories; see `codes_in`."""
        yield cell_values.codes_in(series, columns[0])

    def ends(self, low: float, high: float) -> Sequence[str]:
        """Return the first and the last category."""
        return [self.column.categories[int(end)] for end in (low, high)]

    def warnings(self, there: Floats, distinct: Floats) -> Iterator[str]:
        """Warn about texts that differ in every row, in a table too small to leave them out."""
        name = self.column.name
        if self.are_sentences:
            yield (
                f"Column {name!r} contains sentences, but is read as categories. To read it as "
                "text, list it in data.text."
            )
        elif len(distinct) == len(there) >= FEWEST_ROWS:
            yield (
                f"Column {name!r} has a different category in every row, so nothing can be "
                f"learned from it. If it is an id or a comment, write drop: [{flow(name)}]."
            )

    @staticmethod
    def use(columns: Sequence[Column], x: Floats, data: DataSettings) -> Use:
        """Name one feature per category, missing included, and one for all rare ones."""
        counts = np.unique(x[:, 0], return_counts=True, equal_nan=True)[1]
        n_rare = int((counts < data.min_frequency * len(x)).sum())
        n_features = len(counts) - n_rare + bool(n_rare)
        together = f", {count(n_rare, 'rare one')} merged" if n_rare else ""
        use = f"{count(n_features, 'feature')}{together}"
        if n_rare < len(counts) or n_rare < 2:
            return use, ()
        name = columns[0].name
        warning = (
            f"Every category of {name!r} is rarer than min_frequency ({data.min_frequency:g} of "
            "the training rows), so all are merged into one feature without information. Lower "
            f"data.min_frequency, or write drop: [{flow(name)}]."
        )
        return use, [warning]

    @property
    def kind(self) -> str:
        """The kind of the column, for people."""
        return "category"


def with_marks(features: Iterable[str], x: Floats) -> str:
    """Name features, and that missing cells of the first column become one more."""
    return ", ".join([*features, *(["marks where missing"] if np.isnan(x[:, 0]).any() else [])])


def _shown(value: float, spread: float) -> str:
    if value.is_integer() and abs(value) < 10**_DIGITS:
        return str(int(value))
    return f"{value:.6g}" if spread > abs(value) * 1e-5 else f"{value:.15g}"


def _unit(series: pd.Series, form: NumberForm) -> str | None:
    """Return the unit of a column of numbers; None where no unit is asked for."""
    if not form.units:
        return None
    return form.unit_in([cell for cell in series.dropna().unique() if isinstance(cell, str)])


def _refuse_infinite(series: pd.Series, numbers: Floats, where: Where, setting: str) -> None:
    infinite = np.isinf(numbers)
    if infinite.any():
        place = where(int(infinite.argmax()))
        message = f"column {series.name!r} is infinite in {place}. Leave the cell empty."
        raise DataError(message, setting)


def _as_values(codes: NDArray[np.int64]) -> Floats:
    return np.where(codes < 0, np.nan, codes)


def _note(series: pd.Series, where: Where, reading: Reading) -> str:
    """Return a note on categories that are numbers, or in part; empty for others.

    Raises:
        DataError: they are fractions stored as text, or in a form of dates or numbers not read.
    """
    numbers, bad = cell_values.as_numbers(series, reading.form)
    if not bad.any():
        return _on_digits(series, numbers, where)
    refuse_lookalikes(series, where)
    share = 1 - bad.sum() / series.notna().sum()
    if share == 0:
        return ""
    first = int(bad.argmax())
    return (
        f"Column {series.name!r} has numbers in {share:.0%} of its cells and texts in "
        f"others, such as {str(series.iloc[first])[:50]!r} in {where(first)}. "
        "It is read as categories."
    )


def _on_digits(series: pd.Series, numbers: Floats, where: Where) -> str:
    """Return a note on digits that are stored as text: they are codes.

    Raises:
        DataError: there are fractions among them, which are never codes.
    """
    name = series.name
    fractions = (numbers % 1 != 0) & ~np.isnan(numbers)
    if fractions.any():
        row = int(fractions.argmax())
        raise DataError(
            f"column {name!r} has numbers stored as text, such as {series.iloc[row]!r} in "
            f"{where(row)}. Write numeric: [{name}], or categorical: [{name}].",
            "data.source",
        )
    return (
        f"Column {name!r} has digits stored as text and is read as categories. To read it as "
        f"numbers, write numeric: [{name}]."
    )
