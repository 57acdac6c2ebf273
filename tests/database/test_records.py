"""Reading studies by SQL, with Optuna's own reading as the oracle."""

from __future__ import annotations

import gc
import json
import math
import sqlite3
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from study_makers import CONFIG, SUMMARY, complete, made, mlp

from tunecli.database import queries
from tunecli.database.attributes import RecordedObjective
from tunecli.database.records import StudyRecord, read_study
from tunecli.database.urls import sqlite_url
from tunecli.errors import DatabaseError, StudyNotFoundError
from tunecli.report.analysis.pareto import front
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange
from tunecli.training.outcome.evaluation import TrialResult


def stock_study(url: str, name: str = "stock", n_trials: int = 12) -> optuna.Study:
    """A study as any Optuna program writes it: every kind of parameter and of ending."""
    study = optuna.create_study(storage=url, study_name=name)
    for number in range(n_trials):
        trial = study.ask()
        trial.suggest_float("plain", -2.0, 3.0)
        trial.suggest_float("log", 1e-5, 1.0, log=True)
        trial.suggest_float("step", 0.0, 1.0, step=0.25)
        trial.suggest_int("int", 1, 9, step=2)
        if trial.suggest_categorical("mixed", ["1", 1.5, None, True, 7]) is not None:
            trial.suggest_int("branch", 1, 1024, log=True)
        trial.report([0.5, math.nan, math.inf, -math.inf][number % 4], 0)
        trial.report(0.25, 3)
        match number % 4:
            case 0:
                study.tell(trial, number / 7)
            case 1:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            case 2:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return study


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> tuple[optuna.Study, StudyRecord]:
    url = sqlite_url(tmp_path_factory.mktemp("stock") / "study.db")
    return stock_study(url), read_study(url)


def execute(path: Path, sql: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(sql, values)
    connection.close()


def test_reads_what_optuna_reads(stock: tuple[optuna.Study, StudyRecord]) -> None:
    study, record = stock
    for frozen, trial in zip(study.trials, record.trials, strict=True):
        assert trial.number == frozen.number
        assert trial.state == frozen.state.name.lower()
        assert list(trial.params.items()) == list(frozen.params.items())
        assert [type(value) for value in trial.params.values()] == [
            type(value) for value in frozen.params.values()
        ]
        assert trial.value == frozen.value
        for ours, theirs in ((trial.start, frozen.datetime_start), (trial.end, None)):
            if theirs is not None:
                assert ours == theirs.replace(tzinfo=UTC)
        curve = record.curve(trial)
        expected = frozen.intermediate_values
        assert dict(zip(curve.step, map(repr, curve.score), strict=True)) == {
            step: repr(value) for step, value in expected.items()
        }


def test_all_curves_at_once_are_the_curves_one_by_one(
    stock: tuple[optuna.Study, StudyRecord],
) -> None:
    record = stock[1]
    all_at_once = record.curves()
    assert len(all_at_once) == len(record.trials)
    for trial in record.trials:
        assert repr(all_at_once[trial.trial_id]) == repr(record.curve(trial))


def test_curves_of_some_trials_are_those_of_all(stock: tuple[optuna.Study, StudyRecord]) -> None:
    record = stock[1]
    every = record.curves()
    some = record.curves(record.trials[1:3])
    assert repr(some) == repr({t.trial_id: every[t.trial_id] for t in record.trials[1:3]})


METRICS = st.dictionaries(st.text(), st.none() | st.floats(allow_nan=False) | st.integers())


@given(st.lists(METRICS))
def test_metrics_of_many_rows_are_those_of_each(metrics: list[dict[str, float | None]]) -> None:
    stored = [json.dumps(one) for one in metrics]
    assert repr(queries.all_metric_rows(stored)) == repr(tuple(map(queries.metric_rows, stored)))


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (['{"f1": 1.0}', "[0.5]"], "not a mapping"),
        (['{"f1": 1.0}, {"f1": 2.0}', ""], "Extra data"),
        (['{"f1": 1.0', "}"], "Expecting"),
        (["{}", '{"f1": "high"}'], "could not convert"),
    ],
)
def test_a_damaged_row_among_many_is_refused(damaged: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        queries.all_metric_rows(damaged)


def test_a_study_of_another_program_has_what_is_there(
    stock: tuple[optuna.Study, StudyRecord],
) -> None:
    record = stock[1]
    first = record.trials[0]
    assert (record.metric, record.summary, record.file) == ("value", None, "")
    assert (first.outcome, first.config, first.spread) == ("complete", None, None)
    assert first.ranges["plain"] == FloatRange(-2.0, 3.0)
    assert first.ranges["log"] == FloatRange(1e-5, 1.0, log=True)
    assert first.ranges["step"] == FloatRange(0.0, 1.0, step=0.25)
    assert first.ranges["int"] == IntRange(1, 9, step=2)
    assert first.ranges["mixed"] == Categories(("1", 1.5, None, True, 7))


def test_a_study_of_ours_has_everything(tmp_path: Path) -> None:
    failed = TrialResult("failed", "error: boo", traceback="Traceback …")
    trials = [(mlp(0.1), complete(0.9, 1.0)), (mlp(0.2), failed), (mlp(0.3), None)]
    study = read_study(made(tmp_path, trials), "digits")
    first, second, third = study.trials
    assert (study.metric, study.direction, study.summary) == ("accuracy", "maximize", SUMMARY)
    assert first.fold_scores == (0.9, 1.0)
    assert first.spread == pytest.approx(0.05 * math.sqrt(2))
    assert (first.value, first.metrics, first.best_step) == (0.95, {"f1": 0.5}, 2)
    assert (first.n_weights, first.seconds, first.peak_memory) == (1234, 4.1, 2**28)
    assert (first.attempt, first.worker) == (1, 0)
    assert first.config == json.loads(CONFIG.model_dump_json())
    assert (second.outcome, second.state, second.reason) == ("failed", "fail", "error: boo")
    assert second.traceback == "Traceback …"
    assert (third.outcome, third.state, third.value, third.end) == (None, "running", None, None)
    curve = study.curve(first)
    assert curve.score == pytest.approx((0.95 * 3**-0.5, 0.95 * (2 / 3) ** 0.5, 0.95))
    assert [fold.score[-1] for fold in curve.folds] == [0.9, 1.0]
    assert curve.train_loss == pytest.approx((2 - 3**-0.5, 2 - (2 / 3) ** 0.5, 1.0))


def test_a_spread_needs_two_folds_that_are_finite(tmp_path: Path) -> None:
    scores = [(0.9,), (0.9, math.nan), (0.9,) * 5]
    trials = [(mlp(0.1), complete(*folds, value=0.9)) for folds in scores]
    one, broken, equal = read_study(made(tmp_path, trials)).trials
    assert one.spread is None
    assert broken.spread is None
    assert equal.spread == 0.0


def test_distributions_of_old_optuna_versions(tmp_path: Path) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9))])
    for kind, attributes, expected in [
        ("LogUniformDistribution", {"low": 0.1, "high": 1.0}, FloatRange(0.1, 1.0, log=True)),
        ("UniformDistribution", {"low": 0.1, "high": 1.0}, FloatRange(0.1, 1.0)),
        (
            "DiscreteUniformDistribution",
            {"low": 0.0, "high": 1.0, "q": 0.5},
            FloatRange(0.0, 1.0, step=0.5),
        ),
        ("IntUniformDistribution", {"low": 1, "high": 9, "step": 2}, IntRange(1, 9, step=2)),
        (
            "IntLogUniformDistribution",
            {"low": 1, "high": 9, "step": 1},
            IntRange(1, 9, log=True),
        ),
    ]:
        stored = json.dumps({"name": kind, "attributes": attributes})
        execute(tmp_path / "study.db", "UPDATE trial_params SET distribution_json = ?", stored)
        (trial,) = read_study(url).trials
        assert set(trial.ranges.values()) == {expected}


def test_reading_changes_nothing(tmp_path: Path) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9, 0.8))])
    before = (tmp_path / "study.db").read_bytes()
    (tmp_path / "study.db").chmod(0o444)
    study = read_study(url)
    study.curves()
    assert (tmp_path / "study.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_garbage_is_collected_again_after_reading(tmp_path: Path) -> None:
    url = made(tmp_path, [])
    with queries.connection(url):
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(DatabaseError), queries.connection(url) as opened:
        opened.execute(text("SELECT * FROM nothing"))
    assert gc.isenabled()


def test_a_file_is_opened_read_only(tmp_path: Path) -> None:
    url = made(tmp_path, [])
    with (
        pytest.raises(DatabaseError, match="readonly database"),
        queries.connection(url) as opened,
    ):
        opened.execute(text("DELETE FROM studies"))


def test_a_writer_in_the_middle_of_a_transaction_is_no_obstacle(tmp_path: Path) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9, 0.8))])
    writer = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM trial_params")
    assert len(read_study(url).trials[0].params) == 3
    writer.execute("ROLLBACK")
    writer.close()


def test_a_search_killed_while_it_wrote_leaves_a_readable_study(tmp_path: Path) -> None:
    """SQLite must roll a hot journal back, which a read-only connection may not."""
    url = made(tmp_path, [(mlp(0.1), complete(0.9, 0.8))])
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN')\n"
        "c.execute('DELETE FROM trial_params')\n"
        "c.executemany('INSERT INTO trial_user_attributes (trial_id, key, value_json)'\n"
        "              ' VALUES (1, ?, ?)', [(str(i), 'x' * 5000) for i in range(50)])\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "study.db")], check=True)
    assert (tmp_path / "study.db-journal").stat().st_size > 0
    assert len(read_study(url).trials[0].params) == 3


def test_any_path_is_opened(tmp_path: Path) -> None:
    url = made(tmp_path / "a b?c#d%20é&mode=rw", [(mlp(0.1), complete(0.9))])
    assert read_study(url).name == "digits"


def test_bytes_that_are_no_text_do_not_stop_the_report(tmp_path: Path) -> None:
    url = made(tmp_path, [(mlp(0.1), TrialResult("failed", "error"))])
    execute(tmp_path / "study.db", "UPDATE tunecli_trials SET reason = CAST(x'41ff42' AS TEXT)")
    assert read_study(url).trials[0].reason == "A\ufffdB"


def test_the_study_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    stock_study(url, "one", 1)
    stock_study(url, "two", 1)
    assert read_study(url, "two").name == "two"
    assert [len(read_study(url, name).trials) for name in ("one", "two")] == [1, 1]
    with pytest.raises(StudyNotFoundError, match=r"Name one .*: `one`, `two`"):
        read_study(url)
    with pytest.raises(StudyNotFoundError, match=r"no study `three` .* `one`, `two`"):
        read_study(url, "three")


def test_an_unknown_trial_is_said_with_those_that_exist(tmp_path: Path) -> None:
    study = read_study(made(tmp_path, [(mlp(0.1), None), (mlp(0.1), None)]))
    with pytest.raises(
        StudyNotFoundError, match=r"`digits` has no trial 9\. Its trials are 0 to 1"
    ):
        study.trial(9)
    assert study.trial(1) is study.trials[1]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(StudyNotFoundError, match=r"no study database at .*nowhere\.db"):
        read_study(sqlite_url(tmp_path / "nowhere.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "Cannot open the study database"),
        ("nosuch://host/base", "Cannot open the study database"),
    ],
)
def test_an_url_that_is_none(url: str, message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        read_study(url)


def test_files_that_are_no_study_databases(tmp_path: Path) -> None:
    garbage, other, empty = (tmp_path / name for name in ("garbage.db", "other.db", "empty.db"))
    garbage.write_bytes(b"not a database" * 400)
    execute(other, "CREATE TABLE recipes (name TEXT)")
    empty.touch()
    with pytest.raises(DatabaseError, match=r"garbage\.db is not an SQLite database"):
        read_study(sqlite_url(garbage))
    for path in (other, empty):
        with pytest.raises(DatabaseError, match="is not an Optuna study database"):
            read_study(sqlite_url(path))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trial_params SET distribution_json = '{'",
        "UPDATE trial_params SET param_value = 99",
        "UPDATE trials SET state = 'DREAMING'",
        "UPDATE tunecli_trials SET fold_scores = '7'",
        "UPDATE tunecli_trials SET config = 'none'",
        "UPDATE tunecli_trials SET seconds = 9e999",
        "UPDATE tunecli_trials SET seconds = -1",
        "UPDATE trials SET datetime_start = 'yesterday'",
        "DROP TABLE trial_values",
        "UPDATE study_user_attributes SET value_json = '[1' WHERE key = 'tunecli:summary'",
        "UPDATE study_user_attributes SET value_json = '{}' WHERE key = 'tunecli:summary'",
    ],
)
def test_damage_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    url = made(tmp_path, [(mlp(0.1), complete(0.9))])
    execute(tmp_path / "study.db", damage)
    with pytest.raises(DatabaseError, match=r"Cannot read .*study\.db: "):
        read_study(url)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    url = made(tmp_path, [], attributes={"format": 2})
    with pytest.raises(
        DatabaseError, match=r"`digits` was written by a newer version of tunecli \(format 2"
    ):
        read_study(url)


def test_several_objectives_of_another_program_have_numbers_for_names(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    theirs = optuna.create_study(
        storage=url, study_name="pareto", directions=["minimize", "maximize"]
    )
    for number in range(3):
        theirs.add_trial(optuna.create_trial(values=[float(number), 2.0 - number]))
    record = read_study(url)
    assert record.objectives == (
        RecordedObjective("value 1", "minimize"),
        RecordedObjective("value 2", "maximize"),
    )
    assert [trial.values for trial in record.trials] == [(0.0, 2.0), (1.0, 1.0), (2.0, 0.0)]
    best = {trial.number for trial in theirs.best_trials}
    assert {trial.number for trial in front(record).trials} == best == {0}
