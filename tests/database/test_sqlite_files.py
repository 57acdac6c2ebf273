from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from commands import call_in
from study_makers import complete, made, mlp

from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url
from tunecli.database.write import StudyDatabase
from tunecli.errors import DatabaseError


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def killed_while_writing(source: Path, target: Path) -> None:
    """Copies a database as a process leaves it that is killed before its commit."""
    with closing(sqlite3.connect(source / "study.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=1")  # so that changed pages reach the file early
        connection.execute("BEGIN IMMEDIATE")
        rows = [("x" * 500 + str(number),) for number in range(100)]
        connection.executemany("INSERT INTO studies (study_name) VALUES (?)", rows)
        target.mkdir()
        for name in ("study.db", "study.db-journal"):
            shutil.copy(source / name, target / name)
        connection.execute("ROLLBACK")


def test_what_a_killed_search_left_half_written_is_rolled_back(tmp_path: Path) -> None:
    made(tmp_path / "whole", [(mlp(0.1), complete(0.9))])
    killed_while_writing(tmp_path / "whole", tmp_path / "killed")
    database = StudyDatabase.open(sqlite_url(tmp_path / "killed" / "study.db"), "digits")
    assert database is not None
    assert [trial.value for trial in database.trials()] == [0.9]
    database.close()
    assert not (tmp_path / "killed" / "study.db-journal").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP TABLE trial_params", "not a complete study database: table trial_params is"),
        ("DELETE FROM version_info", "does not record which version of Optuna created it"),
        ("UPDATE alembic_version SET version_num = 'v9.9.9.a'", "try updating optuna"),
        ("UPDATE alembic_version SET version_num = 'v2.6.0.a'", "optuna storage upgrade"),
        ("DROP TABLE studies", "is a database, but not a study database"),
    ],
)
def test_what_optuna_would_write_to_is_refused_untouched(
    tmp_path: Path, change: str, message: str
) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9))])
    path = tmp_path / "study.db"
    execute(path, change)
    before = path.read_bytes(), path.stat().st_mtime_ns
    for refused in (
        lambda: StudyDatabase.open(url, "digits"),
        lambda: StudyDatabase.create(url, "other", ["maximize"]),
        lambda: StudyDatabase.put_away(url, "digits"),
    ):
        with pytest.raises(DatabaseError, match=message) as told:
            refused()
        assert "nothing was written to it" in str(told.value)
        assert "\n" not in str(told.value)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_damage_that_hides_in_an_index_is_found_before_anything_is_written(tmp_path: Path) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9))])
    path = tmp_path / "study.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE "
            "name = 'trials') WHERE name = 'ix_studies_study_name'"
        )
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match=r"is damaged|cannot be read as a study database"):
        StudyDatabase.open(url, "digits")
    assert path.read_bytes() == before


def test_trials_of_another_program_stop_the_search_but_not_the_report(tmp_path: Path) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9))])
    optuna.load_study(storage=url, study_name="digits").enqueue_trial({"x": 1})
    database = StudyDatabase.open(url, "digits")
    assert database is not None
    with pytest.raises(DatabaseError, match=r"trials that tunecli did not create \(trial 1\)"):
        database.trials()
    database.close()
    assert len(read_study(url).trials) == 2


def test_a_missing_trial_is_damage(tmp_path: Path) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9)), (mlp(0.2), complete(0.8))])
    execute(tmp_path / "study.db", "DELETE FROM trials WHERE number = 0")
    database = StudyDatabase.open(url, "digits")
    assert database is not None
    with pytest.raises(DatabaseError, match="only 1 of the trials 0 to 1 exist"):
        database.trials()
    database.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trial_params SET param_value = 1e9",
        "UPDATE trial_params SET distribution_json = '{}'",
        "UPDATE trial_values SET value = 'high'",
        "UPDATE tunecli_trials SET config = '{}'",
        "UPDATE tunecli_trials SET outcome = 'splendid'",
        "UPDATE tunecli_trials SET attempt = 'first'",
        "UPDATE trial_intermediate_values SET intermediate_value_type = 'ODD'",
    ],
)
def test_values_of_the_wrong_kind_are_one_error_for_search_and_report(
    tmp_path: Path, damage: str
) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9))])
    execute(tmp_path / "study.db", damage)
    database = StudyDatabase.open(url, "digits")
    assert database is not None
    with pytest.raises(DatabaseError, match="holds invalid values") as told:
        database.trials()
    assert "\n" not in str(told.value)
    database.close()


def test_a_damaged_schema_is_told_in_one_line(tmp_path: Path) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9))])
    path = tmp_path / "study.db"
    content = path.read_bytes()
    assert b"CREATE TABLE trial_heartbeats (" in content
    torn = content.replace(b"CREATE TABLE trial_heartbeats (", b'CREATE TABLE trial_heartbeats "')
    path.write_bytes(torn)
    for read in (read_study, lambda url: StudyDatabase.open(url, "digits")):
        with pytest.raises(DatabaseError, match="malformed database schema") as told:
            read(url)
        assert "\n" not in str(told.value)
    assert path.read_bytes() == torn


@pytest.mark.parametrize(
    ("table", "column"), [("tunecli_trials", "best_step"), ("trial_values", "value_type")]
)
def test_a_column_of_another_name_is_found_before_anything_is_written(
    tmp_path: Path, table: str, column: str
) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9))])
    path = tmp_path / "study.db"
    execute(path, f"ALTER TABLE {table} RENAME COLUMN {column} TO odd")
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match=f"table {table} has no column {column}"):
        StudyDatabase.open(url, "digits")
    assert path.read_bytes() == before


COMMANDS = ["search", "report", "remove", "refit", "next", "dashboard"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_another_kind_is_called_so_and_left_alone(tmp_path: Path, command: str) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,2\n")
    (tmp_path / "a.yaml").write_text("data: digits\nmodel: MLP\noptimizer: AdamW\n")
    name = "a.yaml" if command == "search" else "a"
    done = call_in(tmp_path, command, name, "--storage", "sqlite:///t.csv", code=1)
    assert "t.csv is not an SQLite database; nothing was written to it." in done.stderr
    assert "--storage sqlite:///studies.db" in done.stderr
    assert ".recover" not in done.stderr
    assert (tmp_path / "t.csv").read_text() == "a,y\n1,2\n"


@pytest.mark.parametrize("kept", [100, 20])
def test_what_was_a_database_can_be_recovered(tmp_path: Path, kept: int) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9))])
    path = tmp_path / "study.db"
    torn = path.read_bytes()
    path.write_bytes(torn[:kept] + b"\xff" * (len(torn) - kept))
    for read in (read_study, lambda url: StudyDatabase.open(url, "digits")):
        with pytest.raises(
            DatabaseError, match=r"recover what you can with `sqlite3 FILE \.recover`"
        ):
            read(url)
