from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tunecli.data.new_rows import RowKind, rows_of
from tunecli.data.rows.dataset import Column
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.tables.table_rows import model_cells, table_blocks
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


# Units

PERCENT = ["12 %", "7%", None, "3 %"]
ASKED = {"source": "t.csv", "target": "y", "task": "regression", "units": ["%", "kg"]}


def trained(folder: Path, cells: Sequence[object]) -> RowKind:
    """What a model knows of a column `a` of such cells."""
    frame = pd.DataFrame({"a": cells, "y": [0.5 * i for i in range(len(cells))]})
    frame.to_csv(folder / "t.csv", index=False)
    data = DataSettings.model_validate(ASKED)
    columns = load_dataset(data, Workspace(folder)).columns
    return RowKind(columns, (len(columns),), "float64", data)


def predicted(kind: RowKind, folder: Path, cells: Sequence[object], way: str) -> list[float]:
    frame = pd.DataFrame({"a": cells})
    if way == "frame":
        return rows_of(frame, kind)[:, 0].tolist()
    path = folder / f"new.{way}"
    frame.to_csv(path, index=False) if way == "csv" else frame.to_parquet(path)
    blocks = table_blocks(path, kind.columns, kind.data, 1)
    return [cell for block in blocks for cell in block[:, 0].tolist()]


@pytest.mark.parametrize("way", ["frame", "csv", "parquet"])
@pytest.mark.parametrize(
    ("cells", "unit", "good", "bad"),
    [
        (PERCENT, "in %", "12%", "12 kg"),
        (PERCENT, "in %", "12 %", "12"),
        (PERCENT, "in %", "12 %", 12),
        ([12, 7, 3], "without a unit", 12, "12 %"),
        (["12", "7", "3"], "without a unit", "12", "12 kg"),
    ],
)
def test_a_unit_is_that_of_training(
    tmp_path: Path, cells: list[object], unit: str, good: object, bad: object, way: str
) -> None:
    kind = trained(tmp_path, cells)
    assert predicted(kind, tmp_path, [good, good], way) == [12.0, 12.0]
    place = r"row 1 of (the table|new\.\w+) has '12"
    wanted = f"numbers {unit}, as in training"
    with pytest.raises(DataError, match=rf"'a' must have {wanted}, but {place}"):
        predicted(kind, tmp_path, [bad, bad], way)


def test_an_array_has_no_units(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no column names"):
        rows_of(np.ones((2, 1)), trained(tmp_path, PERCENT))


def test_a_model_of_earlier_versions_knows_no_units(tmp_path: Path) -> None:
    kind = trained(tmp_path, PERCENT)
    columns = tuple(replace(column, unit=None) for column in kind.columns)
    assert predicted(replace(kind, columns=columns), tmp_path, ["12 kg"], "frame") == [12.0]


def test_a_frame_without_rows_has_no_cell_without_a_unit() -> None:
    data = DataSettings(**ASKED)
    columns = (Column("a", unit="%"), Column("b"))
    frame = pd.DataFrame({"a": ["1 %"], "b": [1.0]}).iloc[:0]
    assert rows_of(frame, RowKind(columns, (2,), "float64", data)).shape == (0, 2)
