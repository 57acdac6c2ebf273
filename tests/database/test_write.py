from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from locations import TESTS
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

from tunecli.database import schema, sqlite_files
from tunecli.database.clock import utc_now
from tunecli.database.creation import add_missing_tables
from tunecli.database.trials import Trial, to_distribution
from tunecli.database.urls import sqlite_url
from tunecli.database.write import StudyDatabase
from tunecli.errors import DatabaseError
from tunecli.report.studies.listing import studies_in
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Objective,
    TrialConfig,
    ValidationSettings,
)
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Evaluation, TrialResult

RANGES: dict[str, Range] = {
    "optimizer": Categories(("SGD", "AdamW", None)),
    "optimizer.AdamW.lr": FloatRange(1e-4, 1e-1, log=True),
    "model.MLP.width": IntRange(8, 64, step=8),
    "model.MLP.batch_norm": Categories((True, False)),
}
PARAMS: dict[str, Scalar] = {
    "optimizer": "AdamW",
    "optimizer.AdamW.lr": 0.0123456789,
    "model.MLP.width": 24,
    "model.MLP.batch_norm": False,
}
CONFIG = TrialConfig(
    seed=0,
    data=DataSettings(source="digits"),
    validation=ValidationSettings(folds=2),
    model=Component(name="MLP", arguments={"width": 24, "batch_norm": False}),
    loss=Component(name="CrossEntropyLoss"),
    optimizer=Component(name="AdamW", arguments={"lr": 0.0123456789}),
    objective=Objective(direction="maximize", metric=Component(name="accuracy")),
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def database(url: str) -> StudyDatabase:
    return StudyDatabase.create(url, "digits", ["maximize"])


def trial(number: int) -> Trial:
    distributions = {name: to_distribution(range_) for name, range_ in RANGES.items()}
    return Trial(number, dict(PARAMS), distributions, CONFIG)


def told(step: int, score: float) -> list[Evaluation]:
    return [
        Evaluation(step, step + 1.0, 0.5, score + shift, {"f1": 0.5}, 0.01) for shift in (0, 0.25)
    ]


def finished() -> TrialResult:
    return TrialResult(
        outcome="complete",
        value=0.875,
        best_step=1,
        fold_scores=(0.75, 1.0),
        metrics={"f1": 0.5},
        n_weights=10,
        seconds=1.5,
        peak_memory=100,
        predictions=b"npz",
    )


def test_optuna_reads_back_the_same_trial_as_through_its_own_interface(
    url: str, database: StudyDatabase
) -> None:
    database.start_trial(trial(0))
    for step, score in enumerate((0.5, 0.75)):
        database.add_evaluations(0, step, told(step, score))
    database.finish_trial(0, finished(), worker=3)
    database.close()

    theirs = optuna.create_study(storage=url, study_name="theirs", direction="maximize")
    asked = theirs.ask({name: to_distribution(range_) for name, range_ in RANGES.items()})
    for step, score in enumerate((0.625, 0.875)):
        asked.report(score, step)
    theirs.tell(asked, 0.875)

    ours = optuna.load_study(storage=url, study_name="digits")
    mine, other = ours.trials[0], theirs.trials[0]
    assert mine.params == PARAMS
    assert mine.distributions == other.distributions
    assert mine.intermediate_values == other.intermediate_values
    assert (mine.state, mine.values, mine.number) == (other.state, other.values, other.number)
    assert mine.datetime_start is not None
    assert other.datetime_start is not None
    assert abs((mine.datetime_start - other.datetime_start).total_seconds()) < 60
    assert mine.user_attrs == {"outcome": "complete", "fold_scores": [0.75, 1.0], "f1": 0.5}
    assert ours.best_value == 0.875


def test_a_reopened_study_holds_what_was_written(url: str, database: StudyDatabase) -> None:
    database.set_attributes({"format": 1, "objective": {"metric": "accuracy"}})
    database.start_trial(trial(0))
    database.add_evaluations(0, 0, told(0, 0.5))
    database.finish_trial(0, finished(), worker=0)
    database.start_trial(trial(1))
    database.add_evaluations(1, 0, told(0, 0.25))
    database.close()

    again = StudyDatabase.open(url, "digits")
    assert again is not None
    assert again.attribute("format") == 1
    assert again.attribute("missing", "default") == "default"
    first, second = again.trials()
    assert (first.params, first.outcome, first.value) == (PARAMS, "complete", 0.875)
    assert first.config == CONFIG
    assert first.curve == [0.625]
    assert (second.outcome, second.value, second.curve) == (None, None, [0.375])


@pytest.mark.parametrize(
    ("outcome", "state"), [("pruned", "PRUNED"), ("diverged", "PRUNED"), ("failed", "FAIL")]
)
def test_outcomes_become_optuna_states(
    url: str, database: StudyDatabase, outcome: str, state: str
) -> None:
    database.start_trial(trial(0))
    database.finish_trial(0, TrialResult(outcome, reason="why"), worker=0)  # type: ignore[arg-type]
    (read,) = optuna.load_study(storage=url, study_name="digits").trials
    assert read.state.name == state
    assert read.user_attrs == {"outcome": outcome, "reason": "why"}


def test_no_trial_ends_before_it_began(
    url: str, database: StudyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.start_trial(trial(0))
    hour_ago = utc_now() - timedelta(hours=1)  # the clock was set back before the next call
    monkeypatch.setattr("tunecli.database.write.utc_now", lambda: hour_ago)
    database.finish_trial(0, TrialResult("failed", reason="why"), worker=0)
    (read,) = optuna.load_study(storage=url, study_name="digits").trials
    assert read.duration == timedelta(0)


def test_a_score_that_is_not_finite_is_kept_as_missing(url: str, database: StudyDatabase) -> None:
    database.start_trial(trial(0))
    database.add_evaluations(0, 0, told(0, math.nan))
    database.flush()
    (read,) = optuna.load_study(storage=url, study_name="digits").trials
    assert math.isnan(read.intermediate_values[0])


def test_another_attempt_forgets_what_the_first_had_told(database: StudyDatabase) -> None:
    database.start_trial(trial(0))
    database.add_evaluations(0, 0, told(0, 0.5))
    database.flush()
    database.add_evaluations(0, 1, told(1, 0.5))
    database.restart_trial(0, attempt=2)
    database.add_evaluations(0, 0, told(0, 0.25))
    database.flush()
    (read,) = database.trials()
    assert (read.attempt, read.curve) == (2, [0.375])


def test_predictions_stay_until_they_are_dropped(url: str, database: StudyDatabase) -> None:
    for number, dropped in enumerate(([], [0], [2])):
        database.start_trial(trial(number))
        database.finish_trial(number, finished(), worker=0, drop_predictions=dropped)
    assert database.prediction_sizes() == dict.fromkeys(range(3), 3)  # dropped ones, too
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        rows = connection.execute("SELECT trial_id, npz FROM tunecli_predictions").fetchall()
    connection.close()
    assert rows == [(2, b"npz")]


def test_a_study_of_a_version_without_sizes_goes_on(url: str, database: StudyDatabase) -> None:
    for number, dropped in enumerate(([], [0])):
        database.start_trial(trial(number))
        database.finish_trial(number, finished(), worker=0, drop_predictions=dropped)
    database.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("DROP TABLE tunecli_out_of_fold")
    connection.close()
    add_missing_tables(url)
    again = StudyDatabase.open(url, "digits", is_alone=True)
    assert again is not None
    assert again.prediction_sizes() == {1: 3}
    again.start_trial(trial(2))
    again.finish_trial(2, finished(), worker=0)
    assert again.prediction_sizes() == {1: 3, 2: 3}
    again.close()


def test_no_study_where_there_is_no_file(tmp_path: Path) -> None:
    assert StudyDatabase.open(f"sqlite:///{tmp_path / 'none.db'}", "digits") is None
    assert not (tmp_path / "none.db").exists()


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match="not a study database; nothing was written"):
        StudyDatabase.open(f"sqlite:///{path}", "digits")
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database at all" * 100)
    with pytest.raises(DatabaseError, match="is not an SQLite database"):
        StudyDatabase.open(f"sqlite:///{path}", "digits")


CREATE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from tunecli.database.write import StudyDatabase
from tunecli.database.urls import sqlite_url

counted = 0

def count(*_):
    global counted
    counted += 1
    if counted == deadly:
        os.kill(os.getpid(), signal.SIGKILL)

def audit(name, arguments):
    if name == "os.rename" and deadly == 0:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "before_cursor_execute", count)
event.listen(Engine, "commit", count)
sys.addaudithook(audit)
for folder in map(Path, sys.argv[1:]):
    deadly = int(folder.name)
    if os.fork() == 0:
        url = sqlite_url(folder / "study.db")
        StudyDatabase.create(url, "digits", ["maximize"], {"format": 1})
        os._exit(0)
    _, status = os.wait()
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
"""


@pytest.mark.parametrize("shared", [False, True])
def test_a_kill_during_creation_leaves_nothing_in_the_way(tmp_path: Path, shared: bool) -> None:
    points = [8, 22, 23] if shared else [0, 2, 30, 76]  # the nth statement; 0: the last rename
    for point in points:
        (tmp_path / str(point)).mkdir()
        if shared:
            url = sqlite_url(tmp_path / str(point) / "study.db")
            StudyDatabase.create(url, "other", ["minimize"], {"format": 1}).close()
    words = [str(tmp_path / str(point)) for point in points]
    done = subprocess.run(
        [sys.executable, "-c", CREATE_AND_DIE, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["9"] * len(points)
    for point in points:
        url = sqlite_url(tmp_path / str(point) / "study.db")
        database = StudyDatabase.open(url, "digits") or StudyDatabase.create(
            url, "digits", ["maximize"], {"format": 1}
        )
        assert database.attribute("format") == 1
        database.start_trial(trial(0))
        database.close()
        assert len(optuna.load_study(storage=url, study_name="digits").trials) == 1
        left = {path.name for path in (tmp_path / str(point)).iterdir()}
        assert left <= {"study.db", "study.db.new.lock"}


def test_a_study_that_optuna_made_is_not_taken_over_even_if_it_is_empty(url: str) -> None:
    optuna.create_study(storage=url, study_name="digits", direction="minimize")
    with pytest.raises(DatabaseError, match="already holds a study named digits"):
        StudyDatabase.create(url, "digits", ["maximize"], {"format": 1})
    assert optuna.load_study(storage=url, study_name="digits").direction.name == "MINIMIZE"


def test_what_is_put_away_is_all_kept_and_its_name_is_free(url: str) -> None:
    for n_trials in (1, 2):
        database = StudyDatabase.create(url, "digits", ["maximize"], {"format": 1})
        for number in range(n_trials):
            database.start_trial(trial(number))
            database.add_evaluations(number, 0, told(0, 0.5))
            database.finish_trial(number, finished(), worker=0)
        before = database.trials()
        database.close()
        name = StudyDatabase.put_away(url, "digits")
        assert name is not None
        assert StudyDatabase.open(url, "digits") is None
        kept = StudyDatabase.open(url, name)
        assert kept is not None
        assert kept.trials() == before
        kept.close()
    names = sorted(summary.study_name for summary in optuna.get_all_study_summaries(url))
    assert len(names) == 2
    assert all(name.startswith(".trash/digits/") for name in names)
    assert StudyDatabase.put_away(url, "digits") is None


def test_a_study_that_was_begun_is_not_taken_over(url: str, database: StudyDatabase) -> None:
    database.start_trial(trial(0))
    with pytest.raises(DatabaseError, match="already holds a study named digits"):
        StudyDatabase.create(url, "digits", ["maximize"])
    assert len(database.trials()) == 1


def test_a_second_writer_fails_and_corrupts_nothing(url: str, database: StudyDatabase) -> None:
    database.set_attributes({"format": 1})
    second = StudyDatabase.open(url, "digits")
    assert second is not None
    database.start_trial(trial(0))
    with pytest.raises(DatabaseError, match="Another search writes to the same study"):
        second.start_trial(trial(0))
    assert [read.number for read in database.trials()] == [0]
    assert len(optuna.load_study(storage=url, study_name="digits").trials) == 1


def test_what_other_tools_left_of_a_deleted_study_is_in_nobodys_way(
    url: str, database: StudyDatabase
) -> None:
    beside = StudyDatabase.create(url, "beside", ["maximize"], {"format": 1})
    for number in range(2):
        database.start_trial(trial(number))
        database.add_evaluations(number, 0, told(0, 0.5))
        database.finish_trial(number, finished(), worker=0)
    database.close()
    optuna.delete_study(study_name="digits", storage=url)
    beside.start_trial(trial(0))  # gets the id of a trial that was deleted
    beside.add_evaluations(0, 0, told(0, 0.25))
    beside.finish_trial(0, finished(), worker=0)
    again = StudyDatabase.create(url, "digits", ["maximize"], {"format": 1})
    again.start_trial(trial(0))
    for study in (beside, again):
        assert [read.number for read in study.trials()] == [0]
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("tunecli_trials", "tunecli_curves", "tunecli_predictions")
        ]
    connection.close()
    assert counts == [2, 2, 1]


def test_opening_a_study_of_optuna_adds_no_table_of_ours(url: str) -> None:
    theirs = optuna.create_study(storage=url, study_name="theirs")
    theirs.tell(theirs.ask(), 1.0)
    assert StudyDatabase.open(url, "theirs") is not None
    assert StudyDatabase.is_foreign(url, "theirs")
    assert not StudyDatabase.is_foreign(url, "nobody's")
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert not [name for (name,) in names if name.startswith("tunecli")]


@pytest.mark.parametrize("dialect", [mysql.dialect(), postgresql.dialect()])
def test_other_databases_keep_long_texts_and_large_numbers(dialect: Any) -> None:
    made = str(CreateTable(schema.trials).compile(dialect=dialect))
    assert "peak_memory BIGINT" in made
    assert "seconds DOUBLE" in made
    assert ("config MEDIUMTEXT" if dialect.name == "mysql" else "config TEXT") in made
    kept = str(CreateTable(schema.predictions).compile(dialect=dialect))
    assert ("npz BLOB(4294967295)" if dialect.name == "mysql" else "npz BYTEA") in kept
    scores = str(CreateTable(schema.out_of_fold).compile(dialect=dialect))
    assert f"of_targets {'MEDIUMTEXT' if dialect.name == 'mysql' else 'TEXT'} NOT NULL" in scores


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Another process holds the write lock."""
    code = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate()


def test_a_lock_held_too_long_is_told_and_loses_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_files, "BUSY_SECONDS", 0.1)
    database = StudyDatabase.create(url, "digits", ["maximize"], {"format": 1})
    database.start_trial(trial(0))
    database.add_evaluations(0, 0, told(0, 0.5))
    with locked(url.removeprefix("sqlite:///")):
        for write in (
            database.flush,
            database.trials,
            lambda: database.attribute("format"),
            lambda: database.set_attributes({"format": 1}),
            lambda: database.start_trial(trial(1)),
            lambda: database.finish_trial(0, finished(), worker=0),
            lambda: database.restart_trial(0, attempt=2),
            lambda: StudyDatabase.open(url, "digits"),
        ):
            with pytest.raises(DatabaseError, match=r"locked by another program for 0\.1 s"):
                write()
    database.flush()
    (read,) = database.trials()
    assert (read.attempt, read.outcome, read.curve) == (1, None, [0.625])


def test_close_does_not_hide_the_first_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_files, "BUSY_SECONDS", 0.1)
    database = StudyDatabase.create(url, "digits", ["maximize"], {"format": 1})
    database.start_trial(trial(0))
    database.add_evaluations(0, 0, told(0, 0.5))

    def fail() -> None:
        try:
            raise ArithmeticError("first")
        finally:
            database.close()

    with locked(url.removeprefix("sqlite:///")):
        with pytest.raises(ArithmeticError, match="first"):
            fail()
        with pytest.raises(DatabaseError, match="locked"):
            database.close()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    StudyDatabase.create(sqlite_url(path), "digits", ["maximize"], {"format": 1}).close()
    database = StudyDatabase.open(f"sqlite:///file:{path}?mode=ro&uri=true", "digits")
    assert database is not None
    with pytest.raises(DatabaseError, match=r"study\.db cannot be written \(attempt to write a"):
        database.start_trial(trial(0))


FULL_DISK = """
import resource, signal, sys
sys.path[:0] = sys.argv[2:]
from test_write import trial, told
from tunecli.database.write import StudyDatabase

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
database = StudyDatabase.create(sys.argv[1], "digits", ["maximize"], {"format": 1})
database.start_trial(trial(0))
size = 2**18
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
for step in range(100_000):
    database.add_evaluations(0, step, told(step, 0.5))
    if step % 100 == 99:
        database.flush()
"""


def test_a_full_disk_is_told_and_keeps_what_was_stored(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, url, str(TESTS), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tunecli.errors.DatabaseError: ")
    assert "the disk is full or failing" in last
    (read,) = StudyDatabase.open(url, "digits").trials()  # type: ignore[union-attr]
    assert len(read.curve) > 0
    assert len(read.curve) % 100 == 0


def test_a_damaged_attribute_hides_no_other_and_makes_no_study_foreign(
    url: str, database: StudyDatabase
) -> None:
    database.set_attributes({"objective": {"metric": "f1"}, "code": {}})
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(
            "UPDATE study_user_attributes SET value_json = '[{' WHERE key = 'tunecli:code'"
        )
    assert database.attribute("objective") == {"metric": "f1"}
    with pytest.raises(DatabaseError, match="invalid values"):
        database.attribute("code")
    assert not StudyDatabase.is_foreign(url, "digits")
    (listing,) = studies_in(url)
    assert listing.metric == "f1"


@pytest.mark.parametrize("stored", [500_000_000.4, -1.0, 2.0**31 + 1])
def test_an_int_outside_its_range_or_between_two_is_refused(
    url: str, database: StudyDatabase, stored: float
) -> None:
    range_ = IntRange(0, 2**31)
    database.start_trial(Trial(0, {"x": 7}, {"x": to_distribution(range_)}, CONFIG))
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE trial_params SET param_value = ?", (stored,))
    with pytest.raises(DatabaseError, match="lies outside"):
        database.trials()


def test_a_value_that_optuna_suggested_on_a_fine_grid_is_read_again(
    database: StudyDatabase,
) -> None:
    fine = to_distribution(FloatRange(1000.0, 1000.002, step=2e-5))
    database.start_trial(Trial(0, {"x": 1000.00002}, {"x": fine}, CONFIG))
    assert database.trials()[0].params == {"x": 1000.00002}
