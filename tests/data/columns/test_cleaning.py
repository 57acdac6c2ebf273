from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.data.columns.cleaning import duplicate_rows, leaks, without_idle_columns
from tunecli.data.columns.column_cells import Cells
from tunecli.data.rows.dataset import Column

RANDOM = np.random.default_rng(0)
NAN = float("nan")


def cells(name: str, values: object, kind: str = "numeric") -> Cells:
    column = Column(name, kind, ("a", "b", "c") if kind == "categorical" else ())  # type: ignore[arg-type]
    return Cells(column, np.asarray(values, dtype=np.float64))


def test_what_varies_is_kept_and_so_is_one_value_with_holes() -> None:
    columns = [cells("a", [1, 2, 2]), cells("b", [1, 1, NAN]), cells("c", [1, NAN, NAN])]
    kept, notes = without_idle_columns(columns)
    assert (kept, notes) == (columns, [])


def test_the_first_of_equal_columns_is_kept() -> None:
    columns = [cells("a", [1, NAN, 2]), cells("b", [1, NAN, 2]), cells("c", [1, 2, NAN])]
    kept, notes = without_idle_columns(columns)
    assert [column.column.name for column in kept] == ["a", "c"]
    assert notes == ["Column 'b' is identical to 'a' and is left out."]


def test_several_idle_columns_share_a_note() -> None:
    columns = [cells("a", [1, 1]), cells("b", [0, 0]), cells("c", [NAN, NAN]), cells("d", [1, 2])]
    kept, notes = without_idle_columns(columns)
    assert [column.column.name for column in kept] == ["d"]
    assert notes == [
        "Columns `a` and `b` are constant and left out.",
        "Column `c` is empty and left out.",
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_copies_are_the_rows_that_are_equal(rows: list[tuple[int, int]]) -> None:
    x = np.array([NAN if a == 3 else a for a, _ in rows])
    y = np.array([b for _, b in rows])
    firsts = [rows.index(row) for row in rows]
    found, notes = duplicate_rows([x], y)
    n_copies = len(rows) - len(set(rows))
    if n_copies == 0:
        assert (found, notes) == (None, [])
    elif 2 * len(set(rows)) < len(rows):
        assert found is None
        assert [note.split()[0] for note in notes] == [str(n_copies)]
    else:
        assert found is not None
        assert (found.tolist(), notes) == (firsts, [])


Y = RANDOM.integers(0, 3, 90)


@pytest.mark.parametrize(
    ("column", "is_leak"),
    [
        (cells("x", Y, "categorical"), True),
        (cells("x", np.where(np.arange(90) < 20, NAN, Y), "categorical"), True),
        (cells("x", Y + RANDOM.random(90) / 2), True),
        (cells("x", Y + RANDOM.random(90) * 1.5), False),
        (cells("x", RANDOM.normal(size=90)), False),
        (cells("x", np.arange(90), "categorical"), False),
        (cells("x", np.where(np.arange(90) < 80, NAN, Y)), False),
        (cells("x", np.where(np.arange(90) == 5, (Y + 1) % 3, Y), "categorical"), False),
    ],
)
def test_a_column_leaks_if_it_tells_every_class(column: Cells, is_leak: bool) -> None:
    assert bool(leaks([column], Y, is_classes=True, way="drop it")) == is_leak


VALUES = RANDOM.normal(size=90)


@pytest.mark.parametrize(
    ("column", "is_leak"),
    [
        (cells("x", 3 * VALUES + 1), True),
        (cells("x", -np.exp(VALUES)), True),
        (cells("x", VALUES + RANDOM.normal(size=90) / 10), False),
        (cells("x", np.round(VALUES)), False),
        (cells("x", np.arange(90) % 3, "categorical"), False),
    ],
)
def test_a_column_leaks_if_the_target_follows_it(column: Cells, is_leak: bool) -> None:
    assert bool(leaks([column], VALUES, is_classes=False, way="drop it")) == is_leak


def test_a_mistake_in_a_single_row_shows_that_a_column_does_not_leak() -> None:
    values = np.arange(10_000.0)
    half = (values >= 5_000).astype(np.int64)
    wrong = 7_777
    classes, amounts = half.copy(), 2 * values
    classes[wrong], amounts[wrong] = 0, 0
    for y, is_classes in ((half, True), (2 * values, False)):
        assert leaks([cells("x", values)], y, is_classes, "drop it")
    for y, is_classes in ((classes, True), (amounts, False)):
        assert not leaks([cells("x", values)], y, is_classes, "drop it")
