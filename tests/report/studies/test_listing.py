from __future__ import annotations

import io
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from study_makers import complete, made, mlp

from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url
from tunecli.database.write import StudyDatabase
from tunecli.report.analysis.ranking import best_trial
from tunecli.report.screen.listing_table import render_listing
from tunecli.report.studies.listing import list_studies, studies_in
from tunecli.training.outcome.evaluation import TrialResult


def shown(runs: Path) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(render_listing(list_studies(runs), "runs"))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_every_study_by_a_few_numbers(tmp_path: Path) -> None:
    trials = [
        (mlp(0.1), complete(0.9)),
        (mlp(0.1), complete(0.8)),
        (mlp(0.1), TrialResult("pruned", "worse", value=0.99, fold_scores=(0.99,))),
        (mlp(0.1), None),
    ]
    url = made(tmp_path / "digits", trials)
    made(tmp_path / "boston", trials, name="houses", direction="minimize")
    made(tmp_path / "zero", [], name="zero")
    made(tmp_path / ".trash", trials, name="old")
    (tmp_path / "notes").mkdir()
    houses, digits, zero = list_studies(tmp_path)
    assert (houses.name, houses.best, houses.direction) == ("houses", 0.8, "minimize")
    assert (digits.name, digits.best, digits.metric) == ("digits", 0.9, "accuracy")
    assert digits.n_by_state == {"complete": 2, "pruned": 1, "running": 1}
    assert digits.n_trials == 4
    study = read_study(url)
    assert digits.best == best_trial(study).value
    assert digits.last_activity == max(t.end or t.start for t in study.trials)
    assert (zero.n_trials, zero.best, zero.last_activity) == (0, None, None)


def test_a_damaged_study_does_not_hide_the_others(tmp_path: Path) -> None:
    made(tmp_path / "digits", [(mlp(0.1), complete(0.9))])
    connection = sqlite3.connect(tmp_path / "digits" / "study.db")
    with connection:
        connection.execute("UPDATE trials SET datetime_complete = '2026-01-02 03:04:05.000006'")
        connection.execute("UPDATE trials SET datetime_start = '2026-01-02 03:04:05.000006'")
    connection.close()
    (tmp_path / "bad\x1b[31m").mkdir()
    (tmp_path / "bad\x1b[31m" / "study.db").write_bytes(b"garbage" * 300)
    bad, digits = list_studies(tmp_path)
    assert "is not an SQLite database" in bad.error
    assert digits.last_activity == datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    text = shown(tmp_path)
    assert "\x1b" not in text
    assert text.splitlines()[:3] == [
        "study        trials      best             last active (UTC)",
        r"bad\x1b[31m  unreadable  –                –",
        "digits       1 complete  accuracy 0.9000  2026-01-02 03:04",
    ]


def test_the_studies_of_one_database(tmp_path: Path) -> None:
    url = made(tmp_path / "digits", [(mlp(0.1), complete(0.9))])
    StudyDatabase.create(url, "another", ["minimize"], {"format": 1}).close()
    another, digits = studies_in(url)
    assert (another.name, another.n_trials) == ("another", 0)
    assert (digits.name, digits.best) == ("digits", 0.9)


def test_no_studies(tmp_path: Path) -> None:
    assert list_studies(tmp_path / "nowhere") == []
    assert shown(tmp_path) == "There are no studies in runs."


def test_states_are_said_in_words(tmp_path: Path) -> None:
    made(tmp_path / "digits", [(mlp(0.1), TrialResult("failed", "error: boo")), (mlp(0.1), None)])
    assert (
        shown(tmp_path).splitlines()[1].startswith("digits  1 failed · 1 running or interrupted")
    )


def test_a_copied_database_is_listed_with_its_folder(tmp_path: Path) -> None:
    made(tmp_path / "digits", [(mlp(0.1), complete(0.9))])
    shutil.copytree(tmp_path / "digits", tmp_path / "digits-copy")
    digits, copy = list_studies(tmp_path)
    assert (digits.name, digits.elsewhere) == ("digits", None)
    assert (copy.name, copy.elsewhere) == ("digits", tmp_path / "digits-copy" / "study.db")
    lines = shown(tmp_path).splitlines()
    assert lines[1].startswith("digits  ")
    assert lines[2].startswith("digits (in digits-copy)  ")
    told = "".join("".join(lines[3:]).split())  # wrapped where the line ends
    path = tmp_path / "digits-copy"
    assert told.startswith(f"{path}containsastudynameddigits.Toreadit:tuneclireport")
    assert read_study(sqlite_url(copy.elsewhere), copy.name).name == "digits"
