"""What `predict` tells of the rows, against counts by pandas, and the columns that go along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_cases import case

from tunecli.data.rows.dataset import Column, DateForm, DatePart
from tunecli.errors import DataError
from tunecli.model_folder.format.predicted_rows import PredictedRows
from tunecli.model_folder.format.predicting import write_predictions

FORM = DateForm("date")
COLUMNS = (
    Column("age"),
    Column("plan", "categorical", ("a", "b")),
    Column("day", date=DatePart("day", "elapsed", FORM)),
    Column("day (weekday, sin)", date=DatePart("day", "weekday, sin", FORM)),
    Column("city", "categorical", ("x", "y", "z")),
)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """New rows with ids, three of them with a new kind, and planted gaps."""
    frame = pd.read_csv(case("table").folder / "table.csv").head(50).drop(columns="y")
    frame.loc[[3, 7, 8], "kind"] = ["new", "newer", "new"]
    frame["holes"] = frame["holes"].fillna(1.0)
    frame.loc[[0, 7, 20, 21], "holes"] = np.nan
    frame.loc[[0, 30], "size"] = np.nan
    frame["kind"] = frame["kind"].replace("?", "a")
    frame["customer_id"] = [f"{number:06}" for number in range(50)]
    frame["long"] = [9_007_199_254_740_993 + number for number in range(50)]
    path = tmp_path / "new.csv"
    frame.to_csv(path, index=False)
    return path


def test_counts_and_names_of_what_was_written(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    model = case("table").refitted.model
    seen = write_predictions(model, str(rows), out, proba=True)
    assert [*seen.lines(out)] == [
        f"{out}: 50 rows, columns `prediction`, `probability_large` and `probability_small`",
        "3 rows have categories that training did not have, treated as rare: kind (3)",
        "5 rows have missing cells, treated as in training: holes (4), size (2)",
    ]


def test_columns_go_along_as_they_are_written(rows: Path, tmp_path: Path) -> None:
    model = case("table").refitted.model
    wanted = ["customer_id", "long", "kind", "customer_id"]
    write_predictions(model, str(rows), tmp_path / "out.csv", proba=False, keep=wanted)
    given, found = (
        pd.read_csv(path, dtype=str, keep_default_na=False)
        for path in (rows, tmp_path / "out.csv")
    )
    assert [*found.columns] == ["customer_id", "long", "kind", "prediction"]
    pd.testing.assert_frame_equal(found[wanted[:3]], given[wanted[:3]])
    plain = write_predictions(model, str(rows), tmp_path / "plain.csv", proba=False)
    assert [*plain.names] == ["prediction"]
    assert found["prediction"].equals(pd.read_csv(tmp_path / "plain.csv")["prediction"])


def test_parquet_keeps_types(rows: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(rows, dtype={"customer_id": str}).drop(columns="long")
    frame["when"] = pd.date_range("2024-01-01", periods=len(frame))
    frame.to_parquet(tmp_path / "new.parquet")
    out = tmp_path / "out.parquet"
    source = str(tmp_path / "new.parquet")
    model = case("table").refitted.model
    write_predictions(model, source, out, proba=False, keep=["customer_id", "when"])
    found = pd.read_parquet(out)
    pd.testing.assert_frame_equal(found[["customer_id", "when"]], frame[["customer_id", "when"]])


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("customer_ids", "--keep: new.csv lacks the column `customer_ids`.*`customer_id`"),
        ("prediction", "--keep: the predictions have a column 'prediction', too. Rename yours."),
        ("probability_large", "--keep: the predictions have a column 'probability_large'"),
    ],
)
def test_columns_that_cannot_go_along(keep: str, message: str, rows: Path, tmp_path: Path) -> None:
    model = case("table").refitted.model
    with pytest.raises(DataError, match=message):
        write_predictions(model, str(rows), tmp_path / "out.csv", proba=True, keep=[keep])
    assert not (tmp_path / "out.csv").exists()


def test_only_tables_have_columns_to_keep() -> None:
    model = case("arrays").refitted.model
    source = str(case("arrays").folder / "arrays.npz")
    with pytest.raises(DataError, match=r"copies columns of a table file, but .* is not"):
        write_predictions(model, source, None, proba=False, keep=["x"])


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, 3.0, np.nan])] * 5), max_size=30))
def test_the_counts_are_those_of_pandas(cells: list[tuple[float, ...]]) -> None:
    """A date is one column, however many features it becomes."""
    seen = PredictedRows(COLUMNS)
    x = np.array(cells, dtype=np.float64).reshape(-1, 5)
    for part in np.array_split(x, 3):
        seen.add(torch.from_numpy(part))
    frame = pd.DataFrame(x, columns=["age", "plan", "day", "wave", "city"]).drop(columns="wave")
    missing = frame.isna()
    unseen = pd.DataFrame({"plan": frame["plan"] == 2, "city": frame["city"] == 3})
    assert (seen.n_rows, seen.n_missing) == (len(x), missing.any(axis=1).sum())
    assert seen.n_unseen == unseen.any(axis=1).sum()
    assert {name: n for name, n in seen.missing.items() if n} == {
        name: n for name, n in missing.sum().items() if n
    }
    assert {name: n for name, n in seen.unseen.items() if n} == {
        name: n for name, n in unseen.sum().items() if n
    }
