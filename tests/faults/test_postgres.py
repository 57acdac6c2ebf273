"""A study on a PostgreSQL server: the driver killed, the server stopped, locked and full."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import run_in, wait_for
from postgres_server import PASSWORD, ROLE, Server, needs_postgresql, running_server
from searches import STUDY, Rows, Searches, everything_in, seconds_until, session

pytestmark = [pytest.mark.slow, needs_postgresql]

SEED = 1
DATABASE = "studies"
LONG_AWAY = 60.0  # seconds


def write_short_study(folder: Path) -> None:
    """Write a study of 36 short trials."""
    text = STUDY.replace("epochs: 20", "epochs: 6").replace("trials: 60", "trials: 36")
    (folder / "study.yaml").write_text(text)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@dataclass(frozen=True)
class OnServer:
    """Searches whose study is in a database of the server; its URL is in the environment."""

    searches: Searches
    server: Server

    def everything(self) -> Rows:
        if not self.server.rows(DATABASE, "SELECT 1 FROM pg_tables WHERE tablename = 'trials'"):
            return {}
        with self.server.connected(DATABASE) as connection:
            return everything_in(connection, "study")

    def finish(self) -> None:
        """Search to the end, and compare with an uninterrupted search in a file."""
        folder = self.searches.folder
        run_in(folder, "search", "study.yaml", "--jobs", "2")
        self.compare()

    def compare(self) -> None:
        assert self.everything() == self.searches.table
        states = self.server.rows(DATABASE, "SELECT DISTINCT state::text FROM trials")
        assert states == [("COMPLETE",)]
        ends = [e["number"] for e in self.searches.events() if e["event"] == "TrialFinished"]
        assert len(ends) == len(set(ends)), "a trial finished twice"
        assert not list(self.searches.folder.glob("runs/study/checkpoints/*"))
        assert_no_password_in(self.searches.folder)

    def n_ended(self) -> int:
        return len(self.everything())


@pytest.fixture
def study(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnServer]:
    searches = Searches.prepared(tmp_path, write_short_study)
    with database_of_environment(server, monkeypatch):
        yield OnServer(searches, server)


@pytest.fixture
def endless(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnServer]:
    """A study that is never finished, so there is nothing to compare it with."""
    text = STUDY.replace("trials: 60", "trials: 5000")
    (tmp_path / "study.yaml").write_text(text)
    with database_of_environment(server, monkeypatch):
        yield OnServer(Searches(tmp_path, 0, 0, {}), server)


@contextmanager
def database_of_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TUNECLI_STORAGE", server.create_database(DATABASE))
    yield
    with server.connected() as owner:
        owner.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def assert_no_password_in(folder: Path) -> None:
    """In none of the files: logs, events, what was printed, checkpoints."""
    found = [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in (b"qzq@s", b"qzq%40s"))
    ]
    assert not found


def test_nothing_is_lost_whenever_the_driver_is_killed(
    study: OnServer, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    chance, searches = random.Random(SEED), study.searches
    n_kills, finished = n_faults(20), Rows()
    for number in range(n_kills):
        with searches.begun() as process:
            if number % 4 == 0:
                searches.wait_for_trials(process)
                wait_for(lambda old=finished: study.n_ended() > len(old))
                time.sleep(chance.uniform(0, searches.seconds / 25))
            elif chance.random() < 0.5:
                time.sleep(chance.uniform(0, searches.startup))
            else:
                searches.wait_for_trials(process)
                time.sleep(chance.uniform(0, searches.seconds / 25))
            assert process.poll() is None, "the search ended before the kills did"
            process.kill()
            process.wait()
            seconds_until(lambda: not session(process.pid), process.pid)
        now = study.everything()
        assert finished.items() <= now.items(), "a finished trial was lost or changed"
        finished = now
    assert finished, "no trial ended between kills"
    study.finish()
    figure(
        f"PostgreSQL, kill -9 of the driver: {n_kills} times (seed {SEED}), {len(finished)} "
        "trials finished between kills, 0 lost or changed; the table equals that of a file"
    )


def test_a_search_outlasts_its_server(
    study: OnServer, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    """Stopped in the middle, by turns without waiting for anybody and as in a crash."""
    chance, searches, server = random.Random(SEED), study.searches, study.server
    n_stops = n_faults(5) + 1
    away = [LONG_AWAY if n_stops > 2 and n == 0 else chance.uniform(0, 4) for n in range(n_stops)]
    with searches.begun() as process:
        searches.wait_for_trials(process)
        for number, seconds in enumerate(away):
            n_before = study.n_ended()
            wait_for(lambda before=n_before: study.n_ended() > before)
            time.sleep(chance.uniform(0, searches.seconds / 30))
            assert process.poll() is None, "the search ended before the stops did"
            server.stop(("fast", "immediate")[number % 2])
            time.sleep(seconds)
            server.start()
        assert process.wait() == 0, (searches.folder / "stderr").read_text()[-3000:]
    study.compare()
    said = (searches.folder / "stderr").read_text()
    assert "Waiting for the database server. " in said
    assert "The database server is back after " in said
    figure(
        f"PostgreSQL, server stopped and started {n_stops} times in the middle (fast, immediate; "
        f"away for up to {max(away):.0f} s): one call, the table equals that of a file"
    )


@pytest.mark.parametrize("is_back", [True, False])
def test_a_signal_while_the_server_is_away_saves_the_trials(
    endless: OnServer, *, is_back: bool
) -> None:
    """The exit code is that of the signal, whether the server returns within `--grace` or not."""
    searches, server = endless.searches, endless.server
    (searches.folder / "study.yaml").write_text(STUDY.replace("epochs: 20", "epochs: 9000"))
    with searches.begun("--grace", "30" if is_back else "3") as process:
        searches.wait_for_trials(process)
        server.stop("immediate")
        try:
            said = searches.folder / "stderr"
            wait_for(lambda: "Waiting for the database server. " in said.read_text())
            process.send_signal(signal.SIGTERM)
            if is_back:
                time.sleep(2)
                assert process.poll() is None
            else:
                assert process.wait(60) == 143
        finally:
            server.start()
        assert process.wait(60) == 143
    assert ("Stored results are kept" in said.read_text()) is not is_back
    saved = len([*searches.folder.glob("runs/study/checkpoints/*/trial")])
    assert saved == 2 or (saved and not is_back), "within 3 s, a busy machine may save only one"


def test_a_lock_of_half_a_minute_and_a_full_server_fail_no_trial(
    study: OnServer, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    searches, server = study.searches, study.server
    seconds = n_faults(30)
    with searches.begun() as process:
        searches.wait_for_trials(process)
        with server.connected(DATABASE) as other, other.transaction():
            other.execute("LOCK TABLE trials, tunecli_trials IN EXCLUSIVE MODE")
            n_before = study.n_ended()
            time.sleep(seconds)
            assert study.n_ended() == n_before
        with server.connected() as owner:
            owner.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0")
            other_search = run_in(searches.folder, "report", "study", code=1)
            assert "too many connections" in other_search.stderr
            owner.execute(  # the driver loses its session, and gets no other one for a while
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [ROLE]
            )
            time.sleep(3)
            owner.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")
        assert process.wait() == 0, (searches.folder / "stderr").read_text()[-3000:]
    study.compare()
    figure(
        f"PostgreSQL, tables locked for {seconds} s after {n_before} of {len(searches.table)} "
        "trials, then no connection left for 3 s: 0 failed, the table equals that of a file"
    )


def test_every_command_works_while_a_search_writes(endless: OnServer) -> None:
    """As a user works: two studies in one database, one of them running."""
    folder, searches = endless.searches.folder, endless.searches
    run_in(folder, "search", "study.yaml", "--jobs", "1", "--as", "other", "--trials", "3")
    with searches.begun() as process:
        searches.wait_for_trials(process)
        busy = run_in(folder, "search", "study.yaml", code=1)
        assert f"Study study is in use by process {process.pid} on " in busy.stderr
        elsewhere = run_in(folder, "search", "study.yaml", "--runs", "elsewhere", code=1)
        assert f"Study study is in use by process {process.pid} on " in elsewhere.stderr
        assert " since 2" in elsewhere.stderr
        wait_for(lambda: endless.n_ended() > 2)
        listing = run_in(folder, "report").stdout
        assert "study" in listing
        assert "other" in listing
        told = [run_in(folder, "report", "study", *words) for words in ([], ["--json"])]
        told += [
            run_in(folder, "next", "study", "--explore"),
            run_in(folder, "report", "other", "--csv"),
        ]
        told += [run_in(folder, "report", "study", "--html", "page.html")]
        process.send_signal(signal.SIGINT)
        process.wait()
    told += [run_in(folder, "refit", "other"), run_in(folder, "remove", "other")]
    assert "was renamed to .trash/other/" in told[-1].stderr
    for one in (*told, busy, elsewhere):
        assert PASSWORD not in one.stdout + one.stderr
        assert "qzq%40" not in one.stdout + one.stderr
    assert_no_password_in(folder)


def test_no_process_shows_the_password(endless: OnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = os.environ["TUNECLI_STORAGE"]
    monkeypatch.delenv("TUNECLI_STORAGE")
    with endless.searches.begun("--storage", url) as process:
        endless.searches.wait_for_trials(process)
        for pid in session(process.pid):
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
            assert b"qzq" not in title, title
        titles = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"search\0study.yaml\0" in titles
        process.send_signal(signal.SIGINT)
        process.wait()
    said = (endless.searches.folder / "stderr").read_text()
    assert "The commands below omit the password of --storage." in said
    assert_no_password_in(endless.searches.folder)
