"""What is left out of a table, and what looks wrong in it: said in notes, never in silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.column_kinds import Cells
from tunecli.study_file.counts import count
from tunecli.study_file.suggestions import listed

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

FEWEST_ROWS = 20
"""Of fewer rows a column may predict the target by chance."""
ROWS_A_VALUE = 10
"""A category must stand in so many rows, on average, to count as a leak."""


def without_idle_columns(columns: Sequence[Cells]) -> tuple[list[Cells], list[str]]:
    """The columns that say something, and a note for each kind that does not.

    Left out are columns that are empty or the same in all rows, and copies of columns before.
    """
    kept: dict[bytes, Cells] = {}
    empty, constant, notes = [], [], []
    for column in columns:
        there = column.values[~np.isnan(column.values)]
        if len(there) == 0:
            empty.append(column.column.name)
        elif len(there) == len(column.values) and (there == there[0]).all():
            constant.append(column.column.name)
        else:
            twin = kept.setdefault(column.values.tobytes(), column)
            if twin is not column:
                names = f"{column.column.name!r} holds the same as {twin.column.name!r}"
                notes.append(f"Column {names} and is left out.")
    if empty:
        notes.insert(0, f"{_columns(empty)} empty and left out.")
    if constant:
        notes.insert(0, f"{_columns(constant)} the same in all rows and left out.")
    return list(kept.values()), notes


def leaks(
    columns: Sequence[Cells], y: NDArray[np.generic], is_classes: bool, way: str
) -> list[str]:
    """A note on columns that predict the target without a mistake.

    Args:
        way: to leave one out, in words.
    """
    tell = _tells_class if is_classes else _tells_value
    suspects = [c.column.name for c in columns if tell(c, y)]
    if not suspects:
        return []
    return [
        f"{_columns(suspects, 'predicts', 'predict')} the target without a mistake. If it is not "
        f"known when a prediction is needed, {way}."
    ]


def copies(
    values: Sequence[NDArray[Any]], y: NDArray[np.generic]
) -> tuple[Rows | None, list[str]]:
    """Of each row the first one that is equal, target included; None if all rows differ.

    None, with a note, where fewer than half of the rows are different: then equal rows are what
    the columns' few values lead to, not copies.
    """
    frame = pd.DataFrame({str(i): column for i, column in enumerate(values)})
    frame["y"] = y
    codes, _ = pd.factorize(pd.util.hash_pandas_object(frame, index=False).to_numpy())
    _, firsts = np.unique(codes, return_index=True)
    n_copies = len(codes) - len(firsts)
    if not n_copies:
        return None, []
    if 2 * len(firsts) < len(codes):
        n = count(n_copies, "row is a copy", "rows are copies")
        note = f"{n} of others, target included; being so many, they are"
        return None, [f"{note} taken for rows like any."]
    return firsts[codes].astype(np.int64), []


def picture_copies(hashes: Sequence[bytes], y: Sequence[float]) -> Rows | None:
    """Of each picture the first one that is equal, target included; None if all differ.

    Args:
        hashes: of what each one holds.
    """
    firsts: dict[tuple[bytes, float], int] = {}
    own = [firsts.setdefault(key, i) for i, key in enumerate(zip(hashes, y, strict=True))]
    return np.array(own, dtype=np.int64) if len(firsts) < len(own) else None


def _tells_class(column: Cells, y: NDArray[np.generic]) -> bool:
    """Whether each category has one class; or, in the order of the numbers, classes stay apart."""
    values, there = _there(column, y)
    if len(there) < FEWEST_ROWS or len(np.unique(there)) < 2:
        return False
    order = np.lexsort((there, values))
    values, there = values[order], there[order]
    new_value = np.diff(values) != 0
    new_class = np.diff(there) != 0
    if (new_class & ~new_value).any():
        return False
    if column.column.kind == "categorical":
        return bool((1 + new_value.sum()) * ROWS_A_VALUE <= len(there))
    return bool(new_class.sum() == len(np.unique(there)) - 1)


def _tells_value(column: Cells, y: NDArray[np.generic]) -> bool:
    """Whether the target rises, or falls, with the column, equal where that is equal."""
    values, there = _there(column, y)
    if len(there) < FEWEST_ROWS or column.column.kind == "categorical":
        return False
    order = np.lexsort((there, values))
    steps, same = np.diff(there[order]), np.diff(values[order]) == 0
    if (steps[same] != 0).any() or len(np.unique(there)) < FEWEST_ROWS:
        return False
    return bool((steps >= 0).all() or (steps <= 0).all())


def _there(column: Cells, y: NDArray[np.generic]) -> tuple[Floats, NDArray[np.float64]]:
    there = ~np.isnan(column.values)
    return column.values[there], np.asarray(y)[there].astype(np.float64)


def _columns(names: Sequence[str], one: str = "is", more: str = "are") -> str:
    noun, verb = ("Column", one) if len(names) == 1 else ("Columns", more)
    return f"{noun} {listed(names)} {verb}"
