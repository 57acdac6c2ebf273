"""Leave out useless columns of a table, and note what looks wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.column_cells import Cells
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import listed

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Law = Callable[[Cells, Floats, Floats], bool]
"""What may hold of a column, given its values in order and their targets."""

FEWEST_ROWS = 20
"""With at least this many rows, perfect prediction of the target is not chance."""
ROWS_A_VALUE = 10
"""Smallest average number of rows per category at which a column counts as a leak."""
SAMPLE = 100
"""Rows, spread over the table, in which most columns already fail to predict the target."""


def without_idle_columns(columns: Sequence[Cells]) -> tuple[list[Cells], list[str]]:
    """Return the columns with information, and a note on each kind that is left out.

    Left out are columns that are empty or constant, and copies of earlier columns.
    """
    kept: dict[tuple[object, ...], Cells] = {}
    empty, constant, notes = [], [], []
    for column in columns:
        there = column.values[~np.isnan(column.values)]
        if len(there) == 0:
            empty.append(column.column.name)
        elif len(there) == len(column.values) and (there == there[0]).all():
            constant.append(column.column.name)
        else:
            twin = kept.setdefault(column.content, column)
            if twin is not column:
                names = f"{column.column.name!r} is identical to {twin.column.name!r}"
                notes.append(f"Column {names} and is left out.")
    if empty:
        notes.insert(0, f"{_columns(empty)} empty and left out.")
    if constant:
        notes.insert(0, f"{_columns(constant)} constant and left out.")
    return list(kept.values()), notes


def leaks(
    columns: Sequence[Cells], y: NDArray[np.generic], is_classes: bool, way: str
) -> list[str]:
    """Note which columns predict the target perfectly.

    Args:
        y: (n_rows,), or (n_rows, n_targets) of several targets.
        way: how to leave a column out, in words.
    """
    predicts = _predicts_class if is_classes else _predicts_value
    targets = y.reshape(len(y), -1).T
    others = [column for column in columns if column.column.kind != "text"]
    suspects = [c.column.name for c in others if any(predicts(c, one) for one in targets)]
    if not suspects:
        return []
    what = "the target" if len(targets) == 1 else "one of the targets"
    return [
        f"{_columns(suspects, 'predicts', 'predict')} {what} perfectly. If the values are "
        f"not known at prediction time, {way}."
    ]


def duplicate_rows(
    values: Sequence[NDArray[Any]], y: NDArray[np.generic]
) -> tuple[Rows | None, list[str]]:
    """Return for each row the first row equal to it, target included; None if all rows differ.

    If fewer than half of the rows are distinct, return None and a note: then rows are equal
    because the columns have few values, not because they are copies.
    """
    columns = [*values, *y.reshape(len(y), -1).T]
    frame = pd.DataFrame({str(i): column for i, column in enumerate(columns)})
    hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    codes, distinct = pd.factorize(hashes)
    n_copies = len(codes) - len(distinct)
    if not n_copies:
        return None, []
    if 2 * len(distinct) < len(codes):
        n = count(n_copies, "row is a copy", "rows are copies")
        note = (
            f"{n} of other rows, target included. That is more than half of the rows, so they are"
        )
        return None, [f"{note} probably equal by chance, and are not kept together in splits."]
    _, firsts = np.unique(codes, return_index=True)
    return firsts[codes].astype(np.int64), []


def picture_copies(hashes: Sequence[bytes], y: Sequence[float]) -> Rows | None:
    """Return for each picture the first one equal to it, target included; None if all differ.

    Args:
        hashes: the hash of each picture's pixels.
    """
    firsts: dict[tuple[bytes, float], int] = {}
    own = [firsts.setdefault(key, i) for i, key in enumerate(zip(hashes, y, strict=True))]
    return np.array(own, dtype=np.int64) if len(firsts) < len(own) else None


def _predicts_class(column: Cells, y: NDArray[np.generic]) -> bool:
    """Return whether each category has one class, or sorted numbers separate the classes."""
    if not _holds(_separates_classes, column, y):
        return False
    values, there = _sorted(column, y)
    n_values = len(np.unique(values))
    if len(there) < FEWEST_ROWS or len(np.unique(there)) < 2:
        return False
    return column.column.kind != "categorical" or n_values * ROWS_A_VALUE <= len(there)


def _predicts_value(column: Cells, y: NDArray[np.generic]) -> bool:
    """Return whether the target is a monotonic function of the column."""
    if column.column.kind == "categorical" or not _holds(_is_monotonic, column, y):
        return False
    return len(np.unique(_sorted(column, y)[1])) >= FEWEST_ROWS


def _holds(law: Law, column: Cells, y: NDArray[np.generic]) -> bool:
    """Return whether a law that holds for some rows if it holds for all of them does so."""
    some = slice(None, None, max(1, len(y) // SAMPLE))
    return all(law(column, *_sorted(column, y, rows)) for rows in (some, slice(None)))


def _separates_classes(column: Cells, values: Floats, there: Floats) -> bool:
    """Return whether equal values have equal classes, and those of numbers lie apart."""
    new_value, new_class = np.diff(values) != 0, np.diff(there) != 0
    if (new_class & ~new_value).any():
        return False
    return column.column.kind == "categorical" or new_class.sum() < max(1, len(np.unique(there)))


def _is_monotonic(_: Cells, values: Floats, there: Floats) -> bool:
    """Return whether the target rises, or falls, with the values, and depends on them alone."""
    steps, same = np.diff(there), np.diff(values) == 0
    return not steps[same].any() and bool((steps >= 0).all() or (steps <= 0).all())


def _sorted(
    column: Cells, y: NDArray[np.generic], rows: slice = slice(None)
) -> tuple[Floats, Floats]:
    """Return the values that are there, in order, with their targets, which sort equal ones."""
    values, targets = column.values[rows], np.asarray(y)[rows].astype(np.float64)
    there = ~np.isnan(values)
    values, targets = values[there], targets[there]
    order = np.lexsort((targets, values))
    return values[order], targets[order]


def _columns(names: Sequence[str], one: str = "is", more: str = "are") -> str:
    noun, verb = ("Column", one) if len(names) == 1 else ("Columns", more)
    return f"{noun} {listed(names)} {verb}"
