"""A small study, its searches as real commands in process groups of their own, and what is left.

Every process of a search is in the session of its command: so none escapes the count.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from commands import command, environment, run_in

STUDY = """
data: iris
validation: {folds: 2}
model: {MLP: {width: {int: [4, 16]}, depth: 1, dropout: 0.1}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
training: {epochs: 20, batch_size: 16}
search: {trials: 60, sampler: TPE, parallel: 4, pruner: none, attempts: 20}
"""

BY_THE_CLOCK = {"trial_id", "study_id", "seconds", "peak_memory", "worker", "attempt"}
BY_THE_CLOCK |= {"datetime_start", "datetime_complete"}
"""Columns that differ between two searches that are the same."""

Rows = dict[int, list[Any]]


def write_study(folder: Path) -> None:
    """Write a study of 60 trials."""
    (folder / "study.yaml").write_text(STUDY)


@dataclass(frozen=True)
class Searches:
    """Searches of one study in one folder.

    Attributes:
        seconds: from the first trial's start to the end, uninterrupted.
        startup: seconds before the first trial.
        table: what an uninterrupted search gives.
    """

    folder: Path
    seconds: float
    startup: float
    table: Rows

    @classmethod
    def prepared(cls, folder: Path, write: Callable[[Path], None] = write_study) -> Searches:
        """Write the study file; it is searched once without a fault.

        Args:
            write: writes `study.yaml` and what it needs into a folder.
        """
        folder.mkdir(exist_ok=True)
        write(folder)
        return cls(folder, *_uninterrupted(write))

    @property
    def database(self) -> Path:
        return self.folder / "runs/study/study.db"

    @contextmanager
    def begun(self, *words: str, stderr: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """Begin a search; what it says is added to a file, and must hold no traceback.

        Args:
            stderr: a terminal, in place of the file.
        """
        told = self.folder / "stderr"
        with told.open("ab") as file:
            process = subprocess.Popen(
                command("search", "study.yaml", "--jobs", "2", *words),
                cwd=self.folder,
                env=environment() | {"TERM": "xterm"},
                stderr=file if stderr is None else stderr,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            for pid in session(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait()
        assert "Traceback" not in told.read_text(), told.read_text()[-3000:]

    def wait_for_trials(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until this call trains."""
        log = self.folder / "runs/study/events.jsonl"
        before = log.stat().st_size if log.exists() else 0
        while process.poll() is None:
            if log.exists():
                with log.open() as file:
                    file.seek(before)
                    if '"TrialStarted"' in file.read():
                        return
            time.sleep(0.01)
        raise AssertionError((self.folder / "stderr").read_text()[-3000:])

    def finish(self) -> None:
        """Search to the end without a fault, and compare with the search that had none."""
        run_in(self.folder, "search", "study.yaml", "--jobs", "2")
        found = everything(self.database)
        different = [n for n in self.table if found.get(n) != self.table[n]]
        assert not different, (different, found.get(different[0]), self.table[different[0]])
        assert states(self.database) <= {"COMPLETE", "PRUNED"}
        assert not list(self.folder.glob("runs/study/checkpoints/*"))
        ends = [told["number"] for told in self.events() if told["event"] == "TrialFinished"]
        assert len(ends) == len(set(ends)), "a trial finished twice"

    def events(self) -> list[dict[str, Any]]:
        return events(self.folder / "runs/study/events.jsonl")


@cache
def _uninterrupted(write: Callable[[Path], None]) -> tuple[float, float, Rows]:
    with TemporaryDirectory() as folder:
        write(Path(folder))
        begin = time.time()
        run_in(Path(folder), "search", "study.yaml", "--jobs", "2")
        told = events(Path(folder) / "runs/study/events.jsonl")
        table = everything(Path(folder) / "runs/study/study.db")
    assert sorted(table) == list(range(len(table)))
    assert len(table) > 1
    first, last = moment(told[0]), moment(told[-1])
    return last - first, first - begin, table


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def moment(event: dict[str, Any]) -> float:
    """When an event was written, as `time.time()` counts."""
    return datetime.fromisoformat(event["time"]).timestamp()


def everything(path: Path) -> Rows:
    """All that must be the same however a search went, by trial number, of those that ended."""
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as connection:
        return everything_in(connection)


def everything_in(connection: Any, study: str = "%") -> Rows:
    """The same through any connection that executes SQL, of one study or of all."""
    ended = (
        "SELECT trial_id, number, state FROM trials JOIN studies USING (study_id) "
        f"WHERE state != 'RUNNING' AND study_name LIKE '{study}'"
    )
    trials = connection.execute(ended).fetchall()
    found: Rows = {number: [state] for _, number, state in trials}
    numbers = {trial_id: number for trial_id, number, _ in trials}
    for table in (
        "trial_params",
        "trial_values",
        "trial_user_attributes",
        "trial_intermediate_values",
        "tunecli_trials",
        "tunecli_curves",
    ):
        cursor = connection.execute(f"SELECT * FROM {table}")
        columns = [column[0] for column in cursor.description]
        kept = [i for i, name in enumerate(columns) if _is_compared(name)]
        rows = [(row[columns.index("trial_id")], row) for row in cursor]
        for trial_id, row in sorted(rows, key=lambda told: repr([told[1][i] for i in kept])):
            if trial_id in numbers:
                values = [row[i] for i in kept]
                found[numbers[trial_id]].append((table, *values))
    return found


def _is_compared(column: str) -> bool:
    rows_own = column == "param_id" or (column.startswith("trial_") and column.endswith("_id"))
    return column not in BY_THE_CLOCK and not rows_own


def states(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {state for (state,) in connection.execute("SELECT state FROM trials")}


def is_sound(path: Path) -> bool:
    """What SQLite itself says of the file."""
    if not path.exists():
        return True
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def session(leader: int) -> list[int]:
    """The processes of a session that still run."""
    return [pid for pid, _, member in _processes() if member == leader]


def workers(driver: int) -> list[int]:
    """The worker processes of a search: what its fork server has forked."""
    found = [(pid, parent) for pid, parent, member in _processes() if member == driver]
    parents = dict(found)
    return [pid for pid, parent in found if parents.get(parent) == driver]


def fork_server(driver: int) -> int:
    """The parent of the workers."""
    some = workers(driver)[0]
    return next(parent for pid, parent, _ in _processes() if pid == some)


def _processes() -> Iterator[tuple[int, int, int]]:
    """(process, parent, session) of all that run."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if status[0] not in "ZX":
            yield int(entry.name), int(status[1]), int(status[3])


def _named(processes: list[int]) -> list[str]:
    """State, parent and command line of each."""
    lines = []
    for pid in processes:
        with suppress(OSError):
            status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            lines.append(f"{pid} {status[0]} of {status[1]}: {words[:200]}")
    return lines


HANG = 30.0
"""Seconds after which something never happens: far more than it takes beside other work."""


def seconds_until(condition: Callable[[], bool], leader: int = 0) -> float:
    """How long it took, to be told as a figure; fails only for what hangs.

    Args:
        leader: of the session whose processes the failure names; 0 for none.
    """
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < HANG, f"not within {HANG} s: {_named(session(leader))}"
        time.sleep(0.005)
    return time.monotonic() - begin
