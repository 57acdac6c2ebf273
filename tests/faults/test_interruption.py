"""Ctrl-C, twice in a row, SIGTERM and SIGHUP at random instants, resumed each time."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import Popen

import pytest
from commands import read_all
from commands_in_process import FormulaExecutor
from searches import (
    HANG,
    Rows,
    Searches,
    everything,
    is_sound,
    seconds_until,
    session,
    workers,
)

from tunecli.search.run import Search
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.workers.executor import EXECUTORS
from tunecli.study_file.study_file import read_study_file

SEED = 3
FORMULAS = """
data: digits
model: {MLP: {width: {int: [8, 64]}}}
optimizer: {AdamW: {lr: {float: [1e-4, 1.0], log: true}}}
search: {trials: 6, parallel: 2, pruner: Median}
"""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
IN_STARTUP = 0.3  # share of the signals
ENOUGH = 40  # trials of a study; the next signals get a new one


@pytest.mark.slow
def test_signals_end_a_search_with_their_code_and_lose_nothing(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    chance = random.Random(SEED)
    searches = [Searches.prepared(tmp_path / "0")]
    ended: dict[str, list[float]] = {}
    for number, is_twice in plan(n_faults):
        if len(everything(searches[-1].database)) > ENOUGH:
            searches.append(Searches.prepared(tmp_path / str(len(searches))))
        name = f"{number.name} twice" if is_twice else number.name
        seconds = interrupted(searches[-1], number, is_twice, chance)
        ended.setdefault(name, []).append(seconds)
    for each in searches:
        each.finish()
    for name, times in ended.items():
        figure(
            f"{name}: {len(times)} times (seed {SEED}) in {len(searches)} studies, resumed tables "
            f"equal; everything gone {statistics.median(times):.2f} s (median), "
            f"{max(times):.2f} s (longest) after it"
        )


def interrupted(
    searches: Searches, number: signal.Signals, is_twice: bool, chance: random.Random
) -> float:
    """Begin a search and interrupt it.

    Returns:
        seconds until every process was gone.
    """
    with searches.begun("--grace", "1") as process:
        wait_until_it_listens(process)
        if chance.random() < IN_STARTUP:
            time.sleep(chance.uniform(0, searches.startup))
        else:
            searches.wait_for_trials(process)
            time.sleep(chance.uniform(0, searches.seconds / 20))
        begin = time.monotonic()
        os.killpg(process.pid, number)  # all processes, as a terminal and systemd do
        if is_twice:
            time.sleep(chance.uniform(0.01, 0.5))
            if session(process.pid):
                os.killpg(process.pid, chance.choice([signal.SIGINT, signal.SIGTERM]))
            begin = time.monotonic()
        assert process.wait(timeout=HANG) == CODES[number]
        seconds_until(lambda: not session(process.pid))
        seconds = time.monotonic() - begin
    assert is_sound(searches.database)
    assert len(everything(searches.database)) < 60, "the search ended before the signal did"
    return seconds


@pytest.mark.slow
def test_a_second_signal_ends_at_once_with_the_code_of_the_first(tmp_path: Path) -> None:
    searches = Searches.prepared(tmp_path)
    ours, theirs = os.openpty()
    with searches.begun("--grace", "60", stderr=theirs) as process:
        os.close(theirs)
        searches.wait_for_trials(process)
        for worker in workers(process.pid):
            os.kill(worker, signal.SIGSTOP)  # so that none saves
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        seconds_until(lambda: not session(process.pid))
        assert process.wait() == 143
    told = read_all(ours)
    assert told.rindex("\x1b[?25h") > told.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "Traceback" not in told
    searches.finish()


class NeverStopping(FormulaExecutor):
    """Workers that have come to the last evaluation when they are told to save."""

    def stop(self, number: int, grace: float) -> None:
        pass


def test_a_trial_that_ends_although_it_was_told_to_stop_keeps_its_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXECUTORS, "local", NeverStopping)
    (tmp_path / "study.yaml").write_text(FORMULAS)
    study = read_study_file(tmp_path / "study.yaml", [])

    def call(runs: str, n_events: int) -> Rows:
        place = StudyFolder(tmp_path / runs, study.name)
        searching = Search(study, place, study.search, n_jobs=2)
        with place.held():
            for count, _ in enumerate(searching.events()):
                if count == n_events:
                    searching.interrupt()
        return everything(place.folder / "study.db")

    whole = call("whole", -1)
    assert len(whole) == 6
    for n_events in range(3, 25, 3):
        early = call(str(n_events), n_events)
        assert 0 < len(early) < 6
        assert early.items() <= whole.items()
        assert call(str(n_events), -1) == whole


@pytest.mark.slow
def test_a_second_ctrl_c_is_heard_while_the_database_is_locked(tmp_path: Path) -> None:
    searches = Searches.prepared(tmp_path)
    with searches.begun() as process:
        searches.wait_for_trials(process)
        with closing(sqlite3.connect(searches.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(1.5)  # by now the driver waits, as it would for a minute
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.2)
            assert process.poll() is None
            os.killpg(process.pid, signal.SIGINT)
            seconds_until(lambda: not session(process.pid))
            assert process.wait() == 130
    searches.finish()


def plan(n_faults: Callable[[int], int]) -> Iterator[tuple[signal.Signals, bool]]:
    """(signal, whether it comes twice)."""
    for number, is_twice, full in (
        (signal.SIGINT, False, 30),
        (signal.SIGINT, True, 10),
        (signal.SIGTERM, False, 10),
        (signal.SIGHUP, False, 10),
    ):
        yield from [(number, is_twice)] * n_faults(full)


def wait_until_it_listens(process: Popen[bytes]) -> None:
    """Until then Python's own manners hold, which are a traceback for Ctrl-C."""
    status = Path(f"/proc/{process.pid}/status")

    def listens() -> bool:
        caught = int(status.read_text().partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    seconds_until(listens)
