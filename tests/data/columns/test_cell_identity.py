from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.data.columns.cell_values import CellCategories, categories_of, codes_in, text_of
from tunecli.data.rows.dataset import Column
from tunecli.data.tables.table_files import read_table
from tunecli.data.tables.table_rows import model_cells, table_blocks
from tunecli.study_file.settings.settings import DataSettings

SETTINGS = DataSettings(source="t.csv", target="y")

words = st.sampled_from("a|b | b|01|1|001|1.5|1.50|V57|true|No|no".split("|"))
whole = st.integers(-(2**63), 2**63 - 1) | st.integers(2**53, 2**53 + 5) | st.integers(-9, 9)


def column_of(found: CellCategories, name: str = "c") -> Column:
    return Column(name, "categorical", found.labels, found.told_by)


@settings(max_examples=60, deadline=None)
@given(st.lists(words | st.none(), min_size=1, max_size=20))
def test_texts_are_one_category_if_they_are_one_text(cells: list[str | None]) -> None:
    found = categories_of(pd.Series(cells, dtype=object))
    labels = [None if code < 0 else found.labels[code] for code in found.codes]
    if {cell for cell in cells if cell} != {"true"}:
        assert labels == [None if cell is None else cell.strip() for cell in cells]
    codes = codes_in(pd.Series(cells, dtype=object), column_of(found))
    assert np.array_equal(np.where(np.isnan(codes), -1, codes), found.codes)


@settings(max_examples=60, deadline=None)
@given(st.lists(whole, min_size=1, max_size=20))
def test_whole_numbers_of_any_size_are_told_apart_whatever_holds_them(cells: list[int]) -> None:
    for as_written in (
        pd.Series(cells, dtype="int64"),
        pd.Series(cells, dtype="Int64"),
        pd.Series([str(cell) for cell in cells], dtype="str"),
        pd.Series([Decimal(cell) for cell in cells], dtype=object),
    ):
        found = categories_of(as_written)
        assert [int(found.labels[code]) for code in found.codes] == cells
        assert [int(label) for label in found.labels] == sorted(set(cells))
        codes = codes_in(pd.Series([str(cell) for cell in cells]), column_of(found))
        assert codes.tolist() == found.codes.tolist()


@pytest.mark.parametrize(
    ("trained", "given_as", "codes"),
    [
        (["1", "2"], [2.0, 1.0, np.nan, 3.0], [1, 0, np.nan, 2]),
        (["1.0", "2.0"], ["1", "2", "01"], [0, 1, 2]),
        ([1, 2], ["1", "2.0", "3"], [0, 1, 2]),
        ([1.5, 2.5], ["1.50", "2.5"], [0, 1]),
        (["1.50", "2.5"], [1.5, 2.5], [0, 1]),
        (["3.1", "3.9"], ["3.10", "3.9"], [2, 1]),
        (["True", "False"], ["true", " FALSE", "no"], [1, 0, 2]),
        ([True, False], ["true", "False"], [1, 0]),
        (np.array([0.1, 0.7], np.float32), ["0.1", "0.7"], [0, 1]),
        (np.array([0.1, 0.7], np.float32), np.array([0.7, 0.1], np.float32), [1, 0]),
        (
            pd.to_datetime(["2026-01-01", "2026-01-02"]),
            ["2026-01-02", "2026-01-01 00:00:00", "2026-01-01T00:00"],
            [1, 0, 0],
        ),
        (
            ["2026-01-01 10:00:00", "2026-01-02 00:00:00"],
            pd.to_datetime(["2026-01-02 00:00", "2026-01-01 10:00"]),
            [1, 0],
        ),
        ([datetime.date(2026, 1, 1)], pd.to_datetime(["2026-01-01"]), [0]),
        ([Decimal("1.50"), Decimal(2)], ["1.5", "2", "2.00"], [0, 1, 1]),
        ([10**17, 10**17 + 1], [10**17 + 1, 10**17 + 2], [1, 2]),
    ],
)
def test_a_category_keeps_its_code_in_another_type(
    trained: Any, given_as: Any, codes: list[float]
) -> None:
    found = categories_of(pd.Series(trained))
    column = column_of(found)
    assert np.array_equal(codes_in(pd.Series(given_as), column), codes, equal_nan=True)
    own = codes_in(pd.Series(trained), column)
    assert own.tolist() == found.codes.tolist()


def test_a_model_of_earlier_versions_tells_by_floats() -> None:
    column = Column("c", "categorical", ("1234", "2"))
    cells = pd.Series(["01234", "1234.0", "2", "3"])
    assert codes_in(cells, column).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("cell", [1, 1.0, np.float32(1), Decimal("1.0"), "1", " 1 "])
def test_one_is_written_in_one_way(cell: Any) -> None:
    assert text_of(cell) == "1"


cells_of_files = st.lists(
    st.tuples(st.sampled_from(["01", "1", "x", "2 ", ""]), whole, st.booleans()), min_size=2
)


@settings(max_examples=25, deadline=None)
@given(cells_of_files)
def test_csv_and_parquet_of_the_same_cells_have_the_same_codes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("t")
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    frame["d"] = frame["b"].astype("Int64").mask(frame["c"])
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_parquet(folder / "t.parquet")
    read = [read_table(folder / n, SETTINGS, n, [*"abcd"]).rows for n in ("t.csv", "t.parquet")]
    for name in "abcd":
        csv, parquet = (categories_of(table[name]) for table in read)
        assert csv.labels == parquet.labels
        assert csv.codes.tolist() == parquet.codes.tolist()
    columns = [column_of(categories_of(read[0][name]), name) for name in "abcd"]
    expected = model_cells(frame, columns, "the frame")
    for name in ("t.csv", "t.parquet"):
        blocks = table_blocks(folder / name, columns, SETTINGS, 3)
        assert np.array_equal(np.concatenate(list(blocks)), expected, equal_nan=True)


def test_an_empty_text_is_missing_in_every_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["x", "", " "], "b": [1, 2, 3]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        rows = read_table(tmp_path / name, SETTINGS, name, ["a"]).rows
        assert rows["a"].isna().tolist() == [False, True, True]


def test_a_category_that_is_unknown_is_not_another_one_in_capitals() -> None:
    column = Column("c", "categorical", ("Blue", "True"), "text")
    codes = codes_in(pd.Series(["blue", "Blue", "true", "TRUE"]), column)
    assert codes.tolist() == [2, 0, 1, 1]
