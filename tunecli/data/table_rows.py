"""Rows of a table without a target, as a fitted model wants them: its columns, in its types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.cell_identity import codes_in
from tunecli.data.cell_values import Where, as_numbers, is_nested
from tunecli.data.column_kinds import AS_IS, Reading
from tunecli.data.dataset import Column
from tunecli.data.date_features import values_of
from tunecli.data.dates import Dates, dates_as
from tunecli.data.number_forms import NumberForm
from tunecli.data.table_files import table_chunks
from tunecli.data.unknown_cells import UnknownCells
from tunecli.errors import DataError
from tunecli.study_file.settings import DataSettings
from tunecli.study_file.suggestions import did_you_mean, listed

Floats = NDArray[np.float64]


def table_blocks(
    path: Path, columns: Sequence[Column], data: DataSettings, n_rows: int
) -> Iterator[Floats]:
    """A file's rows as `cells_of` gives them, `n_rows` at a time; it may exceed the memory.

    Args:
        data: the settings that the model's data was read with.

    Raises:
        DataError: with file, row or column, and the way out.
    """
    texts = [column.name for column in columns if column.kind == "categorical"]
    start, reading = 0, Reading.of(data)
    unknown = UnknownCells(path.name)
    for frame in table_chunks(path, data, path.name, texts, n_rows):
        yield _cells_of(frame, columns, reading, start, unknown)
        start += len(frame)
    unknown.warn(columns)


def cells_of(
    frame: pd.DataFrame,
    columns: Sequence[Column],
    name: str,
    reading: Reading = AS_IS,
) -> Floats:
    """The cells of a model's columns, (n_rows, n_columns); other columns are left out.

    NaN is missing. A category is its code; one that the model does not know is as many as there
    are categories. A DataWarning says if it knows none of a column.

    Args:
        name: of the table, for messages.
        reading: how its numbers and dates are written.

    Raises:
        DataError: a column is missing, or a number's column has texts.
    """
    unknown = UnknownCells(name)
    cells = _cells_of(frame, columns, reading, 0, unknown)
    unknown.warn(columns)
    return cells


def _cells_of(
    frame: pd.DataFrame,
    columns: Sequence[Column],
    reading: Reading,
    start: int,
    unknown: UnknownCells,
) -> Floats:
    """Return the cells of some rows; `start` rows of the table are before them."""
    name = unknown.name
    present = {str(given): given for given in frame.columns}
    absent = [name for name in _sources(columns) if name not in present]
    if absent:
        raise DataError(_lacks(name, absent, list(present)))
    names = [str(given) for given in frame.columns]
    twins = [column.name for column in columns if names.count(column.name) > 1]
    if twins:
        raise DataError(f"{name} has several columns {twins[0]!r}. Give each its own name.")
    cells = np.empty((len(frame), len(columns)))

    def where(row: int) -> str:
        return f"row {start + row + 1} of {name}"

    dates: dict[str, Dates] = {}
    for position, column in enumerate(columns):
        series = frame[present[column.source]]
        if is_nested(series):
            message = f"column {column.name!r} of {name} has a list or mapping in each cell"
            raise DataError(f"{message}. Give it one number or text a row.")
        if column.date is not None:
            if column.source not in dates:
                dates[column.source] = dates_as(
                    series, column.date.form, reading.order, where, column.source
                )
            cells[:, position] = values_of(dates[column.source], column.date.part)
        elif column.kind == "numeric":
            cells[:, position] = _numbers(series, column, reading.form, where)
        else:
            cells[:, position] = codes_in(series, column)
            unknown.look_at(column, series, cells[:, position])
    return cells


def _sources(columns: Sequence[Column]) -> list[str]:
    return list(dict.fromkeys(column.source for column in columns))


def _numbers(series: pd.Series, column: Column, form: NumberForm, where: Where) -> Floats:
    numbers, bad = as_numbers(series, form.of_column(column.unit))
    if column.unit:
        bad |= (series.notna() & ~series.map(_is_string).astype(bool)).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        unit = "without a unit" if column.unit == "" else f"in {column.unit}"
        wanted = "numbers" if column.unit is None else f"numbers {unit}, as in training"
        raise DataError(
            f"column {series.name!r} must have {wanted}, but {where(row)} has "
            f"{str(series.iloc[row])[:50]!r}. Correct it, or leave the cell empty."
        )
    infinite = np.isinf(numbers)
    if infinite.any():
        place = where(int(infinite.argmax()))
        message = f"column {series.name!r} is infinite in {place}. Leave the cell empty."
        raise DataError(message)
    return numbers


def _is_string(cell: object) -> bool:
    return isinstance(cell, str)


def _lacks(name: str, absent: Sequence[str], present: Sequence[str]) -> str:
    what = "column" if len(absent) == 1 else "columns"
    hint = did_you_mean(absent[0], present) or f" There are {listed(present, most=30)}."
    return f"{name} lacks the {what} {listed(absent, most=10)}.{hint}"
