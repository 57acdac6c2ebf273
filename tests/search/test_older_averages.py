"""A study of a version without a positive class resumes with its own averages."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from commands import call_in

from tunecli.database.records import StudyRecord, read_study
from tunecli.database.urls import sqlite_url

TEXT = (
    "data: breast_cancer\nmodel: Linear\n"
    "optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}\n"
    "training: {epochs: 2}\nobjective: {maximize: f1}\nmetrics: [recall]\n"
    "constraints: {precision: {min: 0.1}}\n"
    "search: {trials: 2, baselines: false, sampler: Random}\n"
)
SAID = (
    TEXT.replace("f1", "{f1: {average: macro}}")
    .replace("recall", "{recall: {average: macro}}")
    .replace("precision: {", "precision: {average: macro, ")
)


def read(folder: Path, name: str) -> StudyRecord:
    return read_study(sqlite_url(folder / "runs" / name / "study.db"))


def make_older(database: Path) -> None:
    """Changes a study to what an earlier version stored: no class, and no word on averages."""
    with sqlite3.connect(database) as opened:
        table = "study_user_attributes"
        rows = opened.execute(f"SELECT key, value_json FROM {table}").fetchall()
        stored = {key.removeprefix("tunecli:"): json.loads(value) for key, value in rows}
        del stored["summary"]["positive"]
        stored["study_file"] = TEXT
        for name in ("summary", "study_file"):
            opened.execute(
                f"UPDATE {table} SET value_json = ? WHERE key = ?",
                (json.dumps(stored[name]), f"tunecli:{name}"),
            )
        opened.execute(f"DELETE FROM {table} WHERE key = 'tunecli:metric_titles'")


@pytest.mark.slow
def test_it_goes_on_as_if_the_file_said_macro(tmp_path: Path) -> None:
    for name in ("whole", "older"):
        (tmp_path / f"{name}.yaml").write_text(SAID)
    call_in(tmp_path, "search", "whole.yaml", "--trials", "4", "--jobs", "1")
    call_in(tmp_path, "search", "older.yaml", "--jobs", "1")
    make_older(tmp_path / "runs" / "older" / "study.db")
    (tmp_path / "older.yaml").write_text(TEXT)
    resumed = call_in(tmp_path, "search", "older.yaml", "--trials", "4", "--jobs", "1").stderr
    assert "maximize f1 (macro), 2 of 4 trials done" in resumed
    assert "positive" not in resumed
    assert "Changed" not in resumed.replace("Changed: search.trials", "")
    older, whole = read(tmp_path, "older"), read(tmp_path, "whole")
    assert [t.value for t in older.trials] == [t.value for t in whole.trials]
    assert [t.metrics for t in older.trials] == [t.metrics for t in whole.trials]
    assert set(older.trials[3].metrics) == {"recall", "precision"}
    assert older.title == "f1 (macro)"
    assert "f1 (macro)" in call_in(tmp_path, "report", "older").stdout
    call_in(tmp_path, "next", "older", "--exploit", "-o", "next.yaml")
    following = (tmp_path / "next.yaml").read_text()
    assert "objective: {maximize: {f1: {average: macro}}}" in following
    assert "metrics: [{recall: {average: macro}}]" in following
    assert "constraints: {precision: {average: macro, min: 0.1}}" in following
