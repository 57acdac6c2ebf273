"""What a table's rows propose for its splits: planted ids and dates, and what only looks so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tunecli.data.first_looks import NoTargetError, first_look
from tunecli.data.rows.workspace import Workspace
from tunecli.data.tables.split_proposals import SplitProposals
from tunecli.data.tables.tables import split_proposals
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.starter import starter
from tunecli.study_file.study_file import StudyFile

N_STORES, N_DAYS = 12, 40


def sales(by: str = "date") -> pd.DataFrame:
    """Sales per store and day, sorted by one of the two."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=N_DAYS).strftime("%Y-%m-%d")
    rows = [(day, f"S{store:02}") for day in days for store in range(N_STORES)]
    frame = pd.DataFrame(rows, columns=["date", "store"])
    frame["price"] = rng.normal(5, 1, len(frame)).round(2)
    frame["units"] = rng.poisson(20, len(frame))
    return frame.sort_values([by, "date"], kind="stable", ignore_index=True)


def proposed(frame: pd.DataFrame, folder: Path, target: str = "units") -> SplitProposals:
    frame.to_csv(folder / "t.csv", index=False)
    return split_proposals(DataSettings(source="t.csv", target=target), Workspace(folder))


def test_rows_in_order_of_time(tmp_path: Path) -> None:
    assert proposed(sales(), tmp_path) == SplitProposals("date", "store", N_STORES, False)


def test_rows_in_order_of_time_within_each_store(tmp_path: Path) -> None:
    found = proposed(sales(by="store"), tmp_path)
    assert found == SplitProposals("date", "store", N_STORES, True)


def test_shuffled_rows_follow_no_date(tmp_path: Path) -> None:
    shuffled = sales().sample(frac=1, random_state=0)
    assert proposed(shuffled, tmp_path) == SplitProposals("", "store", N_STORES, False)


@pytest.mark.parametrize(
    "name",
    [
        "customer_id",
        "CustomerID",
        "patient",
        "Patient no",
        "subjects",
        "id",
        "user-id",
        "shop_name",
    ],
)
@pytest.mark.parametrize("is_number", [True, False])
def test_ids_are_known_by_their_names(name: str, is_number: bool, tmp_path: Path) -> None:
    frame = sales().drop(columns=["date", "store"])
    ids = np.arange(len(frame)) % 50
    frame[name] = ids if is_number else [f"c{one}" for one in ids]
    assert proposed(frame, tmp_path) == SplitProposals("", name, 50, False)


@pytest.mark.parametrize(
    ("name", "n_ids"),
    [("customer_id", 480), ("customer_id", 3), ("price_id_x", 50), ("width", 50), ("valid", 50)],
)
def test_what_is_no_group(name: str, n_ids: int, tmp_path: Path) -> None:
    """An id per row, too few groups, or a name that is none of an id."""
    frame = sales().drop(columns=["date", "store"])
    frame[name] = np.random.default_rng(1).permutation(len(frame)) % n_ids
    assert proposed(frame, tmp_path).group == ""


def test_fractions_are_no_ids(tmp_path: Path) -> None:
    frame = sales().drop(columns=["date", "store"])
    frame["product"] = np.arange(len(frame)) % 50 / 4
    assert proposed(frame, tmp_path).group == ""


def test_of_several_ids_the_finest_is_proposed(tmp_path: Path) -> None:
    frame = sales()
    frame["customer"] = np.arange(len(frame)) % 100
    assert proposed(frame, tmp_path).group == "customer"


@pytest.mark.parametrize("by", ["date", "store"])
def test_the_proposed_lines_are_settings_that_work(by: str, tmp_path: Path) -> None:
    sales(by).to_csv(tmp_path / "t.csv", index=False)
    text = starter(first_look("t.csv", "units", Workspace(tmp_path)), "t.yaml")
    within = "of each store are sorted" if by == "store" else "The rows are sorted"
    assert f"{within} by the date below" in text
    assert "# The 480 rows have 12 different values of the column below." in text
    asked = text.replace("  # time:", "  time:").replace("  # group:", "  group:")
    study = StudyFile.from_text(asked, "t.yaml", (), tmp_path)
    assert (study.data.time, study.data.group) == ("date", "store")


def test_what_the_user_has_set_is_not_proposed(tmp_path: Path) -> None:
    sales().to_csv(tmp_path / "t.csv", index=False)
    reading = {"time": "date", "group": "store"}
    look = first_look("t.csv", "units", Workspace(tmp_path), reading=reading)
    assert (look.in_order_of, look.group) == ("", "")


def test_a_table_without_a_target_lists_its_columns(tmp_path: Path) -> None:
    frame = sales()
    frame["note"] = np.where(frame.index < 3, None, "ok")
    frame["my label"] = 1.5
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(
        NoTargetError, match=r"needs --target.*\n  tunecli init t.csv --target"
    ) as e:
        first_look("t.csv", None, Workspace(tmp_path))
    assert [(one.name, one.kind, one.example) for one in e.value.columns] == [
        ("date", "date", "2024-01-01"),
        ("store", "category", "S00"),
        ("price", "number", str(frame["price"][0])),
        ("units", "number", str(frame["units"][0])),
        ("note", "category", "ok"),
        ("my label", "number", "1.5"),
    ]
    assert str(e.value).endswith("tunecli init t.csv --target 'my label'")
    frame.rename(columns={"price": "Target"}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(NoTargetError, match=r"--target Target$"):
        first_look("t.csv", None, Workspace(tmp_path))
