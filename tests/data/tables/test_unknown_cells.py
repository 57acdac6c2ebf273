"""New rows of which a model knows no category of a column: said, not silently taken as rare."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pytest

from tunecli.cli.shared.streams import data_warnings_on_stderr
from tunecli.data.rows.dataset import Column
from tunecli.data.tables.table_rows import model_cells, table_blocks
from tunecli.errors import DataWarning
from tunecli.study_file.settings.settings import DataSettings

CODES = (Column("code", "categorical", ("02", "03", "04", "05"), "text"), Column("n"))
SETTINGS = DataSettings(source="t.csv", target="y")
SAID = (
    r"The model knows none of the 2 cells in column 'code' of the table, such as 2 \(not text\). "
    r"It knows `02`, `03`, `04` and 1 more. Write cells as in the training data"
)


def blocks(path: Path, cells: list[object], n_rows: int = 2) -> list[object]:
    pd.DataFrame({"code": cells, "n": 1}).to_csv(path, index=False)
    return [*table_blocks(path, CODES, SETTINGS, n_rows)]


def test_numbers_in_the_place_of_codes_are_told() -> None:
    with pytest.warns(DataWarning, match=SAID):
        found = model_cells(pd.DataFrame({"code": [2, 3], "n": 1}), CODES, "the table")
    assert found[:, 0].tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    ("cells", "unknown"), [(["02", "2"], [0, 1]), (["02", None], [0, 0]), ([None, None], [0, 0])]
)
def test_one_known_cell_is_enough(cells: list[object], unknown: list[int]) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        codes = model_cells(pd.DataFrame({"code": cells, "n": 1}, dtype=object), CODES, "t")[:, 0]
    assert not found
    assert (codes == len(CODES[0].categories)).tolist() == [bool(one) for one in unknown]


@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_a_file_is_told_once_whatever_its_blocks(tmp_path: Path, n_rows: int) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert len(blocks(tmp_path / "t.csv", [2, 3, "x", None, 4], n_rows)) == -(-5 // n_rows)
        blocks(tmp_path / "t.csv", [2, 3, "x", None, "04"], n_rows)
    (one,) = found
    assert "none of the 4 cells in column 'code' of t.csv, such as '2'." in str(one.message)


def test_the_command_says_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with data_warnings_on_stderr():
        blocks(tmp_path / "t.csv", [2, 3])
    told = capsys.readouterr().err
    assert told.startswith(
        "Warning: The model knows none of the 2 cells in column 'code' of t.csv"
    )
    assert told.count("\n") == 1
