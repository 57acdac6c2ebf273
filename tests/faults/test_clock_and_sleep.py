"""Processes that are stopped, and clocks that are set, harm no trial (7 of the issue's table).

The date is moved by libfaketime (Debian's package of that name; another place with the environment
variable LIBFAKETIME), for the search and its workers alike, and for the date alone: setting it
leaves the monotonic clock as it is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from commands import command, environment, rows, run_in

from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url
from tunecli.search.workers.watching import seen

pytestmark = pytest.mark.slow

STUDY = """
data: iris
validation: {folds: 2}
model: {MLP: {width: {int: [4, 16]}, depth: 1}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
training: {epochs: 25, batch_size: 8, max_time: MAX}
search: {trials: 8, sampler: TPE, parallel: 4, pruner: none, attempts: 1}
"""


@contextmanager
def begun(folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A search; nothing of it is left afterwards."""
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command("search", "study.yaml", "--jobs", "2"),
            cwd=folder,
            env=environment() | variables,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def events(folder: Path) -> list[dict[str, Any]]:
    log = folder / "runs/study/events.jsonl"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for_training(folder: Path, process: subprocess.Popen[bytes], n_ended: int = 0) -> None:
    """Until so many trials have ended and another trains."""
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        kinds = [event["event"] for event in events(folder)]
        if kinds.count("TrialFinished") >= n_ended and "TrialEvaluated" in kinds:
            return
        time.sleep(0.02)
    pytest.fail("no trial under way")


def worker_of(driver: int) -> int:
    """A process that trains: the server's child that has used the processor most."""
    used = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parent = Path(f"/proc/{fields[1]}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == driver and int(parent[1]) == driver:
            used[int(entry.name)] = int(fields[11])
    return max(used, key=lambda pid: used[pid])


def assert_nothing_happened(folder: Path, process: subprocess.Popen[bytes]) -> None:
    assert process.wait(timeout=240) == 0, (folder / "stderr").read_text()[-2000:]
    database = folder / "runs/study/study.db"
    assert rows(database, "SELECT state, attempt FROM trials JOIN tunecli_trials USING (trial_id)"
                ) == [("COMPLETE", 1)] * 8  # fmt: skip
    assert (
        rows(database, "SELECT number FROM trials WHERE datetime_complete < datetime_start") == []
    )
    assert rows(database, "SELECT number FROM tunecli_trials WHERE NOT seconds > 0") == []
    told = events(folder)
    ends = [event["number"] for event in told if event["event"] == "TrialFinished"]
    assert sorted(ends) == list(range(8))
    times = [event["time"] for event in told]
    assert times == sorted(times)
    assert all(event["seconds"] >= 0 for event in told if event["event"] == "TrialFinished")
    record = read_study(sqlite_url(database), "study")
    assert all(t.start and t.end and t.start <= t.end for t in record.trials)
    run_in(folder, "report", "study")


def same_table(one: Path, other: Path) -> bool:
    query = (
        "SELECT number, param_name, param_value, value FROM trials JOIN trial_params USING "
        "(trial_id) JOIN trial_values USING (trial_id) ORDER BY number, param_name"
    )
    return rows(one / "runs/study/study.db", query) == rows(other / "runs/study/study.db", query)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study without any fault."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "study.yaml").write_text(STUDY.replace("MAX", "1h"))
    run_in(folder, "search", "study.yaml", "--jobs", "2")
    return folder


@pytest.mark.parametrize("who", ["worker", "driver"])
def test_a_process_that_is_stopped_goes_on_where_it_was(
    who: str,
    whole: Path,
    tmp_path: Path,
    n_faults: Callable[[int], int],
    figure: Callable[[str], None],
) -> None:
    seconds = n_faults(20) + 2
    longest = max(event["seconds"] for event in events(whole) if event["event"] == "TrialFinished")
    # With what the stop lasts a trial would be over its time, without it never.
    max_time = 4 * longest + 2
    pause = max_time + seconds
    (tmp_path / "study.yaml").write_text(STUDY.replace("MAX", f"{max_time:.1f}"))
    with begun(tmp_path) as process:
        wait_for_training(tmp_path, process, n_ended=1)
        pid = process.pid if who == "driver" else worker_of(process.pid)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(pause)
        assert seen(pid).is_stopped
        assert process.poll() is None
        os.kill(pid, signal.SIGCONT)
        assert_nothing_happened(tmp_path, process)
    assert same_table(tmp_path, whole)
    figure(f"SIGSTOP of the {who} for {pause:.0f} s, max_time {max_time:.0f} s: no trial failed")


def libfaketime() -> str:
    given = os.environ.get("LIBFAKETIME")
    found = (
        [given]
        if given
        else [str(p) for p in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    )
    return found[0] if found else ""


@pytest.mark.skipif(not libfaketime(), reason="libfaketime is not installed")
@pytest.mark.parametrize("jumps", [("-1h", "+1h"), ("+1h", "-1h")])
def test_setting_the_clock_changes_nothing(
    jumps: tuple[str, str], whole: Path, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("MAX", "10m"))
    clock = tmp_path / "clock"
    faked = {
        "LD_PRELOAD": libfaketime(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    clock.write_text(f"{jumps[0]}\n")
    date = subprocess.check_output(["date", "+%s"], env=environment() | faked)
    assert abs(int(date) - time.time()) > 3000, "the library moves no clock"
    clock.write_text("+0\n")
    with begun(tmp_path, **faked) as process:
        for n_ended, jump in enumerate(jumps, start=1):
            wait_for_training(tmp_path, process, n_ended)
            clock.write_text(f"{jump}\n")
        assert_nothing_happened(tmp_path, process)
    assert same_table(tmp_path, whole)
    figure(f"the clock moved by {' and '.join(jumps)} (libfaketime): no trial failed")
