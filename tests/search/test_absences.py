from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import in_process
import pytest
from driver_studies import BRANCHES, study, table
from in_process import InProcessExecutor, drive

from tunecli.database.write import StudyDatabase
from tunecli.errors import DatabaseAwayError, DatabaseError
from tunecli.search import absences
from tunecli.search.absences import Absences
from tunecli.search.driver import Driver
from tunecli.search.events.events import Notice
from tunecli.search.trial_budget import Limits


class Server:
    """Takes a write once it has been called so often."""

    def __init__(self, n_absent: int) -> None:
        self.n_absent = n_absent
        self.n_calls = self.n_written = 0

    def write(self) -> None:
        self.n_calls += 1
        if self.n_calls <= self.n_absent:
            raise DatabaseAwayError("no connection")
        self.n_written += 1


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absences, "_PAUSE", 0.001)


@pytest.fixture
def stopped() -> list[str]:
    """How often the trials were stopped."""
    return []


@pytest.fixture
def absent(stopped: list[str]) -> Callable[..., Absences]:
    def make(is_interrupted: Callable[[], bool] = lambda: False, grace: float = 60) -> Absences:
        return Absences(is_interrupted, grace, lambda: stopped.append("stopped"))

    return make


def test_a_server_that_is_there_is_written_once_and_nothing_is_said(
    absent: Callable[..., Absences], stopped: list[str]
) -> None:
    server = Server(0)
    assert list(absent(lambda: True).outlast(server.write)) == []
    assert not stopped
    assert (server.n_calls, server.n_written) == (1, 1)


def test_a_write_is_repeated_until_the_server_is_back(
    absent: Callable[..., Absences], stopped: list[str]
) -> None:
    server = Server(3)
    first, last = absent().outlast(server.write)
    assert not stopped
    assert first == Notice("Waiting for the database server. no connection")
    assert isinstance(last, Notice)
    assert "is back after 0 s" in last.text
    assert (server.n_calls, server.n_written) == (4, 1)


def test_an_interrupted_search_stops_its_trials_and_waits_for_the_grace_period(
    absent: Callable[..., Absences], stopped: list[str]
) -> None:
    server, absences = Server(3), absent(lambda: server.n_calls > 1)
    assert len(list(absences.outlast(server.write))) == 2
    assert (server.n_calls, server.n_written) == (4, 1)
    assert stopped == ["stopped"]
    list(absences.outlast(Server(2).write))
    assert stopped == ["stopped"]


def test_an_interrupted_search_gives_up_after_the_grace_period_of_all_its_writes(
    absent: Callable[..., Absences], stopped: list[str]
) -> None:
    absences = absent(lambda: True, grace=0.05)
    for _ in range(2):
        server = Server(10**9)
        with pytest.raises(DatabaseAwayError, match="no connection"):
            list(absences.outlast(server.write))
    assert server.n_calls == 1
    assert stopped == ["stopped"]


@pytest.mark.parametrize(
    ("method", "n_absent"), [*product(("finish_trial", "start_trial"), (3, 10**9))]
)
def test_a_driver_suspends_its_trials_while_the_server_is_away(
    method: str, n_absent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted when a trial cannot be stored; each running one is stopped only once."""
    drivers, stops = list[Driver](), list[tuple[int, int]]()
    server = Server(n_absent)
    write, stop = getattr(StudyDatabase, method), InProcessExecutor.stop

    def put(database: StudyDatabase, trial: Any, *rest: Any, **more: Any) -> None:
        if getattr(trial, "number", trial) == 5:
            drivers[0].interrupt()
            server.write()
        write(database, trial, *rest, **more)

    def stopping(executor: InProcessExecutor, number: int, grace: float) -> None:
        stops.append((number, server.n_calls))
        stop(executor, number, grace)

    def made(*given: Any) -> Driver:
        drivers.append(Driver(*given))
        return drivers[0]

    file = study(BRANCHES, "TPE", "Median")
    whole = drive(file, f"sqlite:///{tmp_path / 'whole.db'}", 12, 4)
    url = f"sqlite:///{tmp_path / 'away.db'}"
    with monkeypatch.context() as patched:
        patched.setattr(StudyDatabase, method, put)
        patched.setattr(InProcessExecutor, "stop", stopping)
        patched.setattr(in_process, "Driver", made)
        patched.setattr(in_process, "Limits", partial(Limits, grace=0.05))
        ends = pytest.raises(DatabaseAwayError) if n_absent > 3 else nullcontext()
        with ends:
            drive(file, url, 12, 4)
    numbers = [number for number, _ in stops]
    assert len(numbers) == len({*numbers})
    assert [n_calls for _, n_calls in stops][:2] == [1, 1]
    assert table(drive(file, url, 12, 4)) == table(whole)


def test_no_search_waits_forever(
    absent: Callable[..., Absences], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absences, "LONGEST_ABSENCE", 0.01)
    with pytest.raises(DatabaseAwayError, match="no connection"):
        list(absent().outlast(Server(10**9).write))


def test_other_errors_end_the_search(absent: Callable[..., Absences]) -> None:
    def write() -> None:
        raise DatabaseError("full")

    with pytest.raises(DatabaseError, match="full"):
        list(absent().outlast(write))
