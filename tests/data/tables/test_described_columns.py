"""Facts on the columns of a table are found where it is read, and are the same from the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tunecli.data.cache import cached_datasets
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.tables import tables
from tunecli.data.tables.tables import table_column_facts
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

DATA = DataSettings(source="t.csv", target="y", drop=["dropped"])
NO_SETTINGS = ValidationSettings()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A table with columns of every kind, and a cache for however small files."""
    monkeypatch.setattr(cached_datasets, "SMALL", 0)
    random = np.random.default_rng(0)
    days = pd.date_range("2026-01-01", periods=60).astype(str)
    pd.DataFrame(
        {
            "number": random.normal(size=60),
            "whole": np.arange(60),
            "missing": [1.5, None] * 30,
            "category": random.choice(["x", "y"], 60),
            "day": days,
            "constant": 1,
            "dropped": [f"id {n}" for n in range(60)],
            "y": random.choice(["a", "b"], 60),
        }
    ).to_csv(tmp_path / "t.csv", index=False)
    return Workspace(tmp_path, tmp_path / "cache", describes_columns=True)


def read_counts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows with each reading of the files."""
    read, frame_of = list[str](), tables.frame_of

    def counted(*arguments: object) -> object:
        read.append("read")
        return frame_of(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "frame_of", counted)
    return read


def test_a_check_reads_the_files_once_and_a_second_one_never(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_counts(monkeypatch)
    for _ in range(2):
        load_dataset(DATA, workspace)
        table_column_facts(DATA, NO_SETTINGS, workspace)
    assert read == ["read"]


def test_defaults_that_follow_from_the_data_do_not_read_it_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_counts(monkeypatch)
    load_dataset(DATA, workspace)
    completed = DATA.model_copy(update={"test": 0.2, "positive": "b"})
    folds = ValidationSettings(folds=5)
    assert load_dataset(completed, workspace, folds).fingerprint
    table_column_facts(completed, folds, workspace)
    assert read == ["read"]
    load_dataset(DATA, workspace, ValidationSettings(column="category"))
    assert read == ["read"] * 2


def test_facts_from_the_cache_are_those_of_the_files(workspace: Workspace) -> None:
    load_dataset(DATA, workspace)
    kept = table_column_facts(DATA, NO_SETTINGS, workspace)
    assert kept == table_column_facts(DATA, NO_SETTINGS, replace(workspace, cache=None))
    assert [one.kind for one in kept] == [
        *("number", "number", "number", "category", "date", "number", "category", "category")
    ]
    assert kept[4].is_in_order
    assert any("different whole number" in text for text in kept[1].warnings)


def test_facts_follow_the_settings_and_the_files(workspace: Workspace) -> None:
    before = table_column_facts(DATA, NO_SETTINGS, workspace)
    other = table_column_facts(DATA.model_copy(update={"drop": ["day"]}), NO_SETTINGS, workspace)
    assert (before[4].use, other[4].use) == ("feature", "left out: in drop")
    path = workspace.folder / "t.csv"
    path.write_text(path.read_text().replace("2026-01-01", "2025-12-31"))
    assert table_column_facts(DATA, NO_SETTINGS, workspace)[4].smallest == "2025-12-31"


def test_a_search_finds_no_facts_that_nobody_reads(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_dataset(DATA, replace(workspace, describes_columns=False))
    assert [one.name.split("-")[0] for one in (workspace.folder / "cache").glob("*-*/")] == [
        "table"
    ]
    read = read_counts(monkeypatch)
    table_column_facts(DATA, NO_SETTINGS, workspace)
    assert read == ["read"]
