from __future__ import annotations

import pytest

from tunecli.errors import DatabaseAwayError, DatabaseError
from tunecli.search import absences
from tunecli.search.absences import Absences
from tunecli.search.events.events import Notice


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


def test_a_server_that_is_there_is_written_once_and_nothing_is_said() -> None:
    server = Server(0)
    assert list(Absences(lambda: False).outlast(server.write)) == []
    assert (server.n_calls, server.n_written) == (1, 1)


def test_a_write_is_repeated_until_the_server_is_back() -> None:
    server = Server(3)
    first, last = Absences(lambda: False).outlast(server.write)
    assert first == Notice("Waiting for the database server. no connection")
    assert isinstance(last, Notice)
    assert "is back after 0 s" in last.text
    assert (server.n_calls, server.n_written) == (4, 1)


def test_an_interrupted_search_does_not_wait() -> None:
    server = Server(3)
    with pytest.raises(DatabaseAwayError, match="no connection"):
        list(Absences(lambda: True).outlast(server.write))
    assert server.n_calls == 1


def test_no_search_waits_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absences, "LONGEST_ABSENCE", 0.01)
    with pytest.raises(DatabaseAwayError, match="no connection"):
        list(Absences(lambda: False).outlast(Server(10**9).write))


def test_other_errors_end_the_search() -> None:
    def write() -> None:
        raise DatabaseError("full")

    with pytest.raises(DatabaseError, match="full"):
        list(Absences(lambda: False).outlast(write))
