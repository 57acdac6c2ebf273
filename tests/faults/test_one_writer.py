"""Items 6 and 8: one search at a time; a lock that another program holds for half a minute."""

from __future__ import annotations

import os
import signal
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import command, environment, rows, wait_for

pytestmark = pytest.mark.slow

LONG = """
data: iris
validation: {folds: 2}
model: {MLP: {width: {int: [4, 16]}, depth: 1}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
training: {epochs: 3000, early_stopping: none}
search: {trials: 100, parallel: 2, pruner: none}
"""
SEARCH = ("search", "long.yaml", "--jobs", "1")
PROMISED = 2.0  # seconds until a search that may not run has ended


@dataclass
class Ended:
    """How a command ended. Attributes: `cpu`: seconds of its own; `wall`: since its start."""

    code: int
    stderr: str
    cpu: float
    wall: float


def start(folder: Path, number: int) -> subprocess.Popen[bytes]:
    with (folder / f"stderr-{number}").open("wb") as file:
        return subprocess.Popen(
            command(*SEARCH), cwd=folder, env=environment(), stderr=file, start_new_session=True
        )


def wait_until_ended(
    folder: Path, running: dict[int, subprocess.Popen[bytes]], begin: float, survivors: int
) -> list[Ended]:
    """Reaps processes, with their own time, until only the survivors are left."""
    ended = []
    end = time.monotonic() + 60
    while len(running) > survivors:
        assert time.monotonic() < end, "too many run"
        for number, process in list(running.items()):
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = code = os.waitstatus_to_exitcode(status)
                del running[number]
                told = (folder / f"stderr-{number}").read_text()
                cpu = usage.ru_utime + usage.ru_stime
                ended.append(Ended(code, told, cpu, time.monotonic() - begin))
        time.sleep(0.01)
    return ended


@contextmanager
def one_survivor(folder: Path, n: int) -> Iterator[tuple[int, list[Ended]]]:
    """Starts so many searches at once; the process that runs on, and how the others ended."""
    (folder / "long.yaml").write_text(LONG)
    begin = time.monotonic()
    running = {number: start(folder, number) for number in range(n)}
    try:
        ended = wait_until_ended(folder, running, begin, survivors=1)
        (winner,) = running.values()
        yield winner.pid, ended
    finally:
        for process in running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def assert_told(ended: list[Ended], winner: int) -> None:
    for loser in ended:
        assert loser.code == 1, loser
        (line,) = loser.stderr.splitlines()
        assert f"is in use by process {winner} on " in line
        assert " since 2" in line
        assert loser.cpu < PROMISED  # the clock on the wall counts other tests of this machine


def test_of_eight_first_starts_one_runs(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    everyone = []
    for number in range(n_faults(5)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with one_survivor(folder, 8) as (winner, ended):
            assert len(ended) == 7
            assert_told(ended, winner)
            wait_for((folder / "runs" / "long" / "study.db").exists)
        everyone += ended
    figure(
        f"8 first starts × {n_faults(5)}: one ran, {len(everyone)} ended with one line after "
        f"{statistics.median(e.wall for e in everyone):.1f} s (median; the slowest "
        f"{max(e.wall for e in everyone):.1f} s, {max(e.cpu for e in everyone):.2f} s of CPU)"
    )


def test_a_second_search_ends_with_one_line(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    everyone = []
    with one_survivor(tmp_path, 1) as (winner, _):
        wait_for((tmp_path / "runs" / "long" / "study.db").exists)
        for _ in range(n_faults(10)):
            begin = time.monotonic()
            ended = wait_until_ended(tmp_path, {1: start(tmp_path, 1)}, begin, survivors=0)
            assert_told(ended, winner)
            everyone += ended
    figure(
        f"a second search × {len(everyone)}: one line after at most "
        f"{max(e.wall for e in everyone):.1f} s ({max(e.cpu for e in everyone):.2f} s of CPU)"
    )


def test_a_lock_of_half_a_minute_fails_no_trial(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    database = tmp_path / "runs" / "long" / "study.db"
    (tmp_path / "long.yaml").write_text(LONG.replace("3000", "40").replace("100", "6"))
    process = start(tmp_path, 0)
    try:
        wait_for(database.exists)
        with closing(sqlite3.connect(database, isolation_level=None, timeout=60)) as other:
            other.execute("BEGIN EXCLUSIVE")
            n_before = other.execute(
                "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
            ).fetchone()[0]
            time.sleep(30)
            other.execute("ROLLBACK")
        assert process.wait(timeout=120) == 0, (tmp_path / "stderr-0").read_text()
    finally:
        process.kill()
        process.wait()
    found = rows(database, "SELECT outcome, attempt, count(*) FROM tunecli_trials GROUP BY 1, 2")
    assert found == [("complete", 1, 6)]
    assert n_before < 6, "the lock came too late"
    figure(f"locked for 30 s when {n_before} of 6 trials were done: 6 complete, 0 failed")
