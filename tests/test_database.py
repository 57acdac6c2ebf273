from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import optuna
import pytest

from tunecli.errors import DatabaseError
from tunecli.search.database import StudyDatabase, Trial
from tunecli.search.distributions import to_distribution
from tunecli.study_file.ranges import Categories, FloatRange, IntRange, Range, Scalar
from tunecli.study_file.settings import (
    Component,
    DataSettings,
    Objective,
    TrialConfig,
    ValidationSettings,
)
from tunecli.training.evaluation import Evaluation, TrialResult

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
    return StudyDatabase.create(url, "digits", "maximize")


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


def test_only_the_best_trials_predictions_are_kept(url: str, database: StudyDatabase) -> None:
    for number in range(2):
        database.start_trial(trial(number))
        database.finish_trial(number, finished(), worker=0, keep_predictions=True)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        rows = connection.execute("SELECT trial_id, npz FROM tunecli_predictions").fetchall()
    connection.close()
    assert rows == [(2, b"npz")]


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
    with pytest.raises(DatabaseError, match="cannot be read as a study database"):
        StudyDatabase.open(f"sqlite:///{path}", "digits")
