from __future__ import annotations

import pandas as pd
import pytest

from tunecli.data.dataset import Column
from tunecli.data.table_rows import cells_of
from tunecli.errors import DataError

COLUMNS = (Column("a"), Column("b"))


@pytest.mark.parametrize("names", [["a", "b", "a"], ["b", "a", "b"], ["a", "a", "b"]])
def test_a_column_that_is_there_twice_is_refused(names: list[str]) -> None:
    twice = pd.DataFrame([[1.0, 2.0, 3.0]], columns=names)
    with pytest.raises(DataError, match=r"^the table has several columns '[ab]'\. Give each"):
        cells_of(twice, COLUMNS, "the table")


def test_columns_that_the_model_does_not_take_may_be_there_twice() -> None:
    frame = pd.DataFrame([[1.0, 9.0, 2.0, 9.0]], columns=["b", "c", "a", "c"])
    assert cells_of(frame, COLUMNS, "the table").tolist() == [[2.0, 1.0]]
