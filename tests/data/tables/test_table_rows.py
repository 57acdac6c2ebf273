from __future__ import annotations

import pandas as pd
import pytest

from tunecli.data.new_rows import RowKind, rows_of
from tunecli.data.rows.dataset import Column
from tunecli.data.tables.table_rows import model_cells
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings

COLUMNS = (Column("a"), Column("b"))


@pytest.mark.parametrize("names", [["a", "b", "a"], ["b", "a", "b"], ["a", "a", "b"]])
def test_a_column_that_is_there_twice_is_refused(names: list[str]) -> None:
    twice = pd.DataFrame([[1.0, 2.0, 3.0]], columns=names)
    with pytest.raises(
        DataError, match=r"^the table has several columns named '[ab]'\. Give each"
    ):
        model_cells(twice, COLUMNS, "the table")


def test_columns_that_the_model_does_not_take_may_be_there_twice() -> None:
    frame = pd.DataFrame([[1.0, 9.0, 2.0, 9.0]], columns=["b", "c", "a", "c"])
    assert model_cells(frame, COLUMNS, "the table").tolist() == [[2.0, 1.0]]


def test_words_that_are_missing_are_missing_in_data_frames_too() -> None:
    data = DataSettings(source="t.csv", target="y", missing=["k.A."])
    columns = (Column("a"), Column("b", "categorical", ("x",), "text"))
    frame = pd.DataFrame({"a": ["1", " k.A. "], "b": ["k.A.", "x "], 0: [1, 2]})
    rows = rows_of(frame, RowKind(columns, (2,), "float64", data))
    assert rows[1, 0].isnan()
    assert rows[0, 1].isnan()
    assert (rows[0, 0], rows[1, 1]) == (1, 0)
    assert frame["b"].tolist() == ["k.A.", "x "]
