"""`tunecli.search(…)` is the command without its screen: formulas in place of training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import call_in, environment, table
from formula_executor import FormulaExecutor

import tunecli
from tunecli.errors import (
    SearchFailedError,
    StudyBusyError,
    StudyChangedError,
    StudyFileError,
    UserCodeError,
    UserError,
)
from tunecli.notebook.loaded_study import load_study
from tunecli.search.events.events import (
    DataDescribed,
    Notice,
    SearchEnded,
    SearchEvent,
    SearchStarted,
    TrialFinished,
    Waiting,
)
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.workers.executor import EXECUTORS

STUDY = """
data: digits
validation: {folds: 2}
model: {MLP: {width: {int: [8, 256], log: true}}}
optimizer: {AdamW: {lr: {float: [1e-4, 1e-1], log: true}}}
training: {epochs: 9}
search: {trials: 4, parallel: 2, baselines: false}
"""
DIVERGES = "optimizer.AdamW.lr={float: [1.0, 4.0]}"


@pytest.fixture(autouse=True)
def formulas(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY)
    if "slow" not in request.keywords:
        monkeypatch.setitem(EXECUTORS, "local", FormulaExecutor)
        monkeypatch.setattr("tunecli.search.workers.local.start_server", lambda: None)


def test_it_gives_the_study_and_its_events() -> None:
    events: list[SearchEvent] = []
    study = tunecli.search("study.yaml", trials=3, on_event=events.append)
    assert len(study.trials) == 3
    assert study.record == load_study("study").record
    kinds = [type(event) for event in events if not isinstance(event, Waiting)]
    assert kinds[:2] == [SearchStarted, DataDescribed]
    assert kinds.count(TrialFinished) == 3
    assert kinds[-1] is SearchEnded
    told = Path("runs/study/events.jsonl").read_text().splitlines()
    assert len(told) == len(events)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    tunecli.search("study.yaml", 2)
    assert capfd.readouterr() == ("", "")


def test_the_trials_are_those_of_the_command() -> None:
    tunecli.search(Path("study.yaml"), jobs=1, runs="called")
    call_in(Path(), "search", "study.yaml", "--jobs", "1")
    assert table(Path("called/study/study.db")) == table(Path("runs/study/study.db"))


def test_a_second_call_resumes_with_the_overrides_of_the_first() -> None:
    tunecli.search("study.yaml", 2, set={"training.epochs": np.int64(5), "schedule": None})
    events: list[SearchEvent] = []
    study = tunecli.search("study.yaml", 4, on_event=events.append)
    assert study.record.overrides == ("training.epochs=5", "schedule=null")
    assert isinstance(events[0], Notice)
    assert "Keeping --set training.epochs=5" in events[0].text
    assert [type(event) for event in events].count(TrialFinished) == 2
    assert len(study.trials) == 4


def test_a_separate_study_has_its_name() -> None:
    study = tunecli.search("study.yaml", 1, name="other", set="training.epochs=5")
    assert study.name == "other"
    assert Path("runs/other/study.db").exists()


def test_restarting_moves_the_old_study_away() -> None:
    tunecli.search("study.yaml", 2)
    assert len(tunecli.search("study.yaml", 1, restart=True).trials) == 1
    assert len([*Path("runs/.trash").glob("study-*")]) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tunecli.search("none.yaml"), StudyFileError, "none.yaml: cannot be read"),
        (
            lambda: tunecli.search("study.yaml", trials=0),
            UserError,
            "trials: expected a whole number of at least 1, but got 0",
        ),
        (
            lambda: tunecli.search("study.yaml", jobs=True),
            UserError,
            "jobs: expected a whole number of at least 1, but got True",
        ),
        (lambda: tunecli.search("study.yaml", name=" "), UserError, "name: expected a study's"),
        (
            lambda: tunecli.search("study.yaml", set={"training.epoch": 5}),
            StudyFileError,
            "training.epoch.*Did you mean",
        ),
        (
            lambda: tunecli.search("study.yaml", set={"training.epochs": object()}),
            UserError,
            "set: training.epochs: expected a number",
        ),
        (
            lambda: tunecli.search("study.yaml", code="none.py"),
            UserCodeError,
            "none.py: this file exists neither",
        ),
        (lambda: tunecli.search("study.yaml", timeout="soon"), StudyFileError, "search.timeout"),
    ],
)
def test_a_mistake_is_raised_and_leaves_nothing(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()
    assert not Path("runs").exists()


def test_a_changed_study_and_a_busy_one_are_refused() -> None:
    tunecli.search("study.yaml", 1)
    with pytest.raises(StudyChangedError, match="folds"):
        tunecli.search("study.yaml", set={"validation.folds": 3})
    with (
        StudyFolder(Path("runs"), "study").held(),
        pytest.raises(StudyBusyError, match="Study study is in use"),
    ):
        tunecli.search("study.yaml")


def test_a_search_in_vain_is_an_error_and_its_trials_are_there() -> None:
    with pytest.raises(SearchFailedError, match=r"all trials diverged.*tunecli report study"):
        tunecli.search("study.yaml", 30, set=[DIVERGES])
    assert set(load_study("study").trials.outcome) == {"diverged"}


def test_an_error_of_the_listener_ends_the_search() -> None:
    def listen(event: SearchEvent) -> None:
        if isinstance(event, TrialFinished):
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        tunecli.search("study.yaml", on_event=listen)
    assert len(tunecli.search("study.yaml").trials) == 4  # the study is free, and resumed


def test_ctrl_c_ends_cleanly_and_the_next_call_resumes() -> None:
    before = signal.getsignal(signal.SIGINT)
    events: list[SearchEvent] = []

    def listen(event: SearchEvent) -> None:
        events.append(event)
        if isinstance(event, TrialFinished):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        tunecli.search("study.yaml", on_event=listen)
    assert isinstance(events[-1], SearchEnded)
    assert events[-1].ending == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before
    resumed = tunecli.search("study.yaml", runs="runs").trials
    whole = tunecli.search("study.yaml", runs="whole").trials
    assert resumed.value.tolist() == whole.value.tolist()


def test_a_second_ctrl_c_waits_for_nothing() -> None:
    n_events = 0

    def listen(event: SearchEvent) -> None:
        nonlocal n_events
        n_events += not isinstance(event, Waiting)
        if isinstance(event, SearchStarted):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        tunecli.search("study.yaml", on_event=listen)
    assert n_events == 1


def test_it_runs_in_another_thread() -> None:
    found: list[int] = []
    thread = threading.Thread(
        target=lambda: found.append(len(tunecli.search("study.yaml", 2).trials))
    )
    thread.start()
    thread.join()
    assert found == [2]


def test_the_package_is_the_call_in_whatever_order_they_are_imported() -> None:
    code = """
import tunecli.search.study.study_folder
import tunecli, warnings
from tunecli import search
assert tunecli.search is search and callable(search)
assert search.study.study_folder.DATABASE == "study.db"
try:
    tunecli.search("none.yaml")
except tunecli.errors.StudyFileError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "none.yaml: cannot be read: No such file or directory.\n", done.stderr


SCRIPT = """
print("once")
import tunecli
from tunecli.search.events.events import TrialFinished

numbers = []
study = tunecli.search(
    "study.yaml", trials=2, jobs=2, set={"training.epochs": 2},
    on_event=lambda event: isinstance(event, TrialFinished) and numbers.append(event.number),
)
print(sorted(numbers), len(study.trials), set(study.trials.outcome))
"""


@pytest.mark.slow
def test_a_script_needs_no_guard() -> None:
    Path("script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], env=environment(), capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout == "once\n[0, 1] 2 {'complete'}\n"
