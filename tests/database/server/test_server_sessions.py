"""A study database on a PostgreSQL server that these tests start themselves."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import optuna
import psycopg
import pytest
import sqlalchemy
from locations import TESTS
from optuna.exceptions import StorageInternalError
from optuna_dashboard import wsgi
from postgres_server import PASSWORD, ROLE, Server, needs_postgresql, running_server
from study_makers import CONFIG, LR, complete, evaluation

from tunecli.database.curves import read_curves
from tunecli.database.engines import hold_study
from tunecli.database.records import read_study
from tunecli.database.server import sessions
from tunecli.database.server.sessions import reading_engine, writing_engine
from tunecli.database.trials import Trial
from tunecli.database.write import StudyDatabase
from tunecli.errors import DatabaseAwayError, DatabaseError, PlaceError, StudyBusyError
from tunecli.report.serve_dashboard import read_only_storage
from tunecli.report.studies.listing import studies_in

pytestmark = [pytest.mark.slow, needs_postgresql]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def url(server: Server) -> str:
    """A database of its own for each test."""
    return server.create_database(f"studies{next(_NUMBERS)}")


_NUMBERS = count()


def trial(number: int, lr: float = 0.01) -> Trial:
    return Trial(number, {"lr": lr}, {"lr": LR}, CONFIG)


def opened_alone(url: str, name: str = "digits") -> StudyDatabase:
    database = StudyDatabase.open(url, name, is_alone=True)
    return database or StudyDatabase.create(url, name, ["maximize"])


def end_sessions(server: Server, url: str, but: str = "") -> None:
    """What a server that is stopped and started does to sessions, in no time."""
    server.rows(
        "postgres",
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = %s AND pid != pg_backend_pid() AND application_name != %s",
        url.rpartition("/")[2],
        but,
    )


def in_another_process(code: str) -> str:
    """What a script prints; it has `url` from the environment."""
    done = subprocess.run(
        [sys.executable, "-c", f"import os; url = os.environ['URL']\n{code}"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_written_is_read(url: str) -> None:
    with closing(opened_alone(url)) as database:
        for number, score in enumerate((0.5, 0.75)):
            database.start_trial(trial(number))
            database.add_evaluations(number, 0, [evaluation(0, score)])
            database.finish_trial(number, complete(score), worker=1)
        database.start_trial(trial(2))
    record = read_study(url, "digits")
    assert [one.value for one in record.trials] == [0.5, 0.75, None]
    some = record.mean_curves([record.trials[1]])
    assert some[record.trials[1].trial_id].score == (pytest.approx(0.75 * 3**-0.5),)
    assert len(read_curves(url, record.study_id)) == 2
    assert record.curve(record.trials[0]).folds
    assert record.predictions(record.trials[0]) is None
    (listing,) = studies_in(url)
    assert (listing.best, listing.n_trials) == (0.75, 3)
    storage = optuna.storages.RDBStorage(url)
    assert optuna.load_study(study_name="digits", storage=storage).best_trial.number == 1
    storage.engine.dispose()


def test_neither_a_report_nor_a_dashboard_can_write(url: str) -> None:
    opened_alone(url).close()
    engine = reading_engine(url)
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.InternalError, match="read"):
        connection.execute(sqlalchemy.text("DELETE FROM studies"))
    engine.dispose()
    storage = read_only_storage(url)
    study = optuna.load_study(study_name="digits", storage=storage)
    with pytest.raises(StorageInternalError, match="during the commit") as error:
        study.set_user_attr("x", 1)
    assert "read-only" in str(error.value.__cause__)
    assert wsgi(storage)
    storage.engine.dispose()


def test_one_process_at_a_time_holds_a_study(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL", url)
    told = (
        "from tunecli.database.engines import hold_study\n"
        "from tunecli.errors import StudyBusyError\n"
        "try:\n    with hold_study(url, 'digits'): print('held')\n"
        "except StudyBusyError as error: print(error)"
    )
    with hold_study(url, "digits"):
        with hold_study(url, "others"):
            pass
        busy = in_another_process(told)
    own = f"Study digits is in use by process {os.getpid()} on {socket.gethostname()} since 2"
    assert busy.startswith(own), busy
    assert in_another_process(told) == "held\n"


def test_a_killed_process_holds_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL", url)
    in_another_process(
        "from tunecli.database.engines import hold_study\nimport signal\n"
        "if not (child := os.fork()):\n"
        "    with hold_study(url, 'digits'): os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.waitpid(child, 0)"
    )
    with hold_study(url, "digits"):
        pass


def test_another_role_is_named_though_its_process_is_hidden(server: Server, url: str) -> None:
    with server.connected(url.rpartition("/")[2]) as theirs:
        key = "SELECT hashtextextended(concat(current_schema(), ' tunecli search digits'), 0)"
        theirs.execute(f"SELECT pg_advisory_lock(({key}))")
        busy = pytest.raises(StudyBusyError, match=r"in use by a session of owner\. Wait until")
        with busy, hold_study(url, "digits"):
            pass


def test_a_lost_session_is_opened_again_and_still_alone(server: Server, url: str) -> None:
    with closing(opened_alone(url)) as database:
        database.start_trial(trial(0))
        end_sessions(server, url)
        database.finish_trial(0, complete(0.5), worker=1)
    assert [one.value for one in read_study(url, "digits").trials] == [0.5]


ELSEWHERE = (
    "from tunecli.database.write import StudyDatabase\n"
    "database = StudyDatabase.open(url, 'digits', is_alone=True)\n"
)


def test_a_lost_session_is_not_opened_while_another_process_has_the_study(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", url)
    with closing(opened_alone(url)) as database:
        end_sessions(server, url)
        other = subprocess.Popen(
            [sys.executable, "-c", f"import os; url = os.environ['URL']\n{ELSEWHERE}input()"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
        )
        wait_for_claim(server, url, other.pid)
        with pytest.raises(StudyBusyError, match=rf"in use by process {other.pid} on .* since 2"):
            database.start_trial(trial(0))
        other.communicate(b"\n")
    assert read_study(url, "digits").trials == ()


def test_nor_after_another_process_has_had_it(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", url)
    with closing(opened_alone(url)) as database:
        end_sessions(server, url)
        in_another_process(f"{ELSEWHERE}database.close()")
        with pytest.raises(StudyBusyError, match=r"and process \d+ on .* used the study before"):
            database.start_trial(trial(0))
    assert read_study(url, "digits").trials == ()


def wait_for_claim(server: Server, url: str, pid: int) -> None:
    end = time.monotonic() + 60
    query = "SELECT value_json FROM study_user_attributes WHERE key = 'tunecli:driver'"
    while f"process {pid} on" not in server.rows(url.rpartition("/")[2], query)[0][0]:
        assert time.monotonic() < end
        time.sleep(0.05)


WRITES: dict[str, Callable[[StudyDatabase], None]] = {
    "start": lambda database: database.start_trial(trial(1)),
    "flush": lambda database: database.flush(),
    "finish": lambda database: database.finish_trial(0, complete(0.5), worker=1),
    "restart": lambda database: database.restart_trial(0, 2),
    "attributes": lambda database: database.set_attributes({"baselines": []}),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("is_committed", [False, True])
def test_nothing_is_written_twice_whenever_the_server_went(
    server: Server, url: str, write: str, is_committed: bool
) -> None:
    """The answer to COMMIT is lost: right before the commit, or right after it."""
    name = url.rpartition("/")[2]
    with closing(opened_alone(url)) as database:
        database.start_trial(trial(0))
        database.add_evaluations(0, 0, [evaluation(0, 0.5), evaluation(0, 0.75)])

        def lose(connection: sqlalchemy.Connection) -> None:
            if is_committed:
                connection.connection.commit()
                connection.connection.cursor().execute("SELECT 1")  # so that COMMIT is sent again
            end_sessions(server, url)

        sqlalchemy.event.listen(database._engine, "commit", lose)
        with pytest.raises(DatabaseAwayError):
            WRITES[write](database)
        sqlalchemy.event.remove(database._engine, "commit", lose)
        WRITES[write](database)
        if write == "restart":
            database.add_evaluations(0, 0, [evaluation(0, 0.5), evaluation(0, 0.75)])
        database.finish_trial(0, complete(0.5), worker=1) if write != "finish" else None
    counts = {
        table: server.rows(name, f"SELECT count(*) FROM {table}")[0][0]
        for table in ("trials", "trial_params", "trial_values", "tunecli_trials", "tunecli_curves")
    }
    n_trials = 2 if write == "start" else 1
    assert counts == {
        **dict.fromkeys(("trials", "trial_params", "tunecli_trials"), n_trials),
        "trial_values": 1,
        "tunecli_curves": 2,
    }


def test_a_statement_waits_for_a_lock_only_so_long(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LOCKED_SECONDS", 0.2)
    with closing(opened_alone(url)) as database, server.connected(database_of(url)) as other:
        with other.transaction():
            other.execute("LOCK TABLE trials IN EXCLUSIVE MODE")
            with pytest.raises(DatabaseError, match=r"was locked by another session for .* s\."):
                database.start_trial(trial(0))
        database.start_trial(trial(0))


def test_a_reached_connection_limit_is_said(server: Server, url: str) -> None:
    opened_alone(url).close()
    with server.connected() as owner:
        owner.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT 1")
        try:
            with psycopg.connect(url.replace("+psycopg", "")):
                said = r"no more connections .*too many"
                with pytest.raises(DatabaseAwayError, match=said):
                    opened_alone(url)
                with pytest.raises(DatabaseError, match="too many connections"):
                    read_study(url, "digits")
        finally:
            owner.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")


def test_studies_that_begin_at_once_share_an_empty_database(url: str) -> None:
    errors: list[BaseException] = []

    def create(name: str) -> None:
        try:
            StudyDatabase.create(url, name, ["maximize"]).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=create, args=(f"s{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [one.name for one in studies_in(url)] == ["s0", "s1", "s2", "s3"]


def test_a_database_without_a_study_gets_no_tables_by_being_opened(
    server: Server, url: str
) -> None:
    assert StudyDatabase.open(url, "digits") is None
    tables = "SELECT * FROM information_schema.tables WHERE table_schema = 'public'"
    assert server.rows(database_of(url), tables) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.replace("qzq", "x"), r"searcher:\*\*\*@.*password authentication failed"),
        (lambda url: url.replace("127.0.0.1:", "127.0.0.2:"), "Connection refused"),
        (lambda url: f"{url}x", "does not exist"),
        (lambda url: url.replace("searcher:", "nobody:"), "failed for user"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_sentence_without_the_password(
    url: str, change: Callable[[str], str], message: str
) -> None:
    for use in (lambda one: StudyDatabase.open(one, "digits"), lambda one: read_study(one, "a")):
        with pytest.raises(DatabaseError, match=message) as error:
            use(change(url))
        assert PASSWORD not in str(error.value)
        assert "\n" not in str(error.value)


def test_the_password_may_come_from_elsewhere(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_alone(url).close()
    bare = server.url_without_password(database_of(url))
    with pytest.raises(DatabaseError, match="no password supplied"):
        read_study(bare, "digits")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert read_study(bare, "digits").name == "digits"
    monkeypatch.delenv("PGPASSWORD")
    lines = [
        *("[here]", "host=127.0.0.1", f"port={server.port}", f"user={ROLE}"),
        *(f"dbname={database_of(url)}", f"password={PASSWORD}"),
    ]
    (tmp_path / "services").write_text("\n".join(lines))
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert read_study("postgresql+psycopg:///?service=here", "digits").name == "digits"


def test_the_driver_is_an_extra() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from tunecli.database.urls import refuse_unusable\n"
        "from tunecli.errors import PlaceError\n"
        "try: refuse_unusable('postgresql+psycopg://me:secret@host/base')\n"
        "except PlaceError as error: print(error)"
    )
    told = subprocess.check_output([sys.executable, "-c", script], text=True, cwd=TESTS)
    assert "pip install 'tunecli[postgres]'" in told
    assert "secret" not in told
    assert "***" in told


def database_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_a_port_must_be_a_number() -> None:
    with pytest.raises(PlaceError, match="port must be a whole number"):
        StudyDatabase.open("postgresql+psycopg://me:secret@host:x/base", "digits")


def test_engines_reach_a_server_that_has_an_own_driver_only(url: str) -> None:
    """A URL's own settings are kept."""
    arguments = sessions.connect_arguments(f"{url}?connect_timeout=3")
    assert "connect_timeout" not in arguments
    assert arguments["keepalives_idle"] == 30
    assert sessions.connect_arguments("mysql+pymysql://host/base") == {}
    engine = writing_engine(f"{url}?connect_timeout=3")
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SHOW application_name")).scalar() == (
            sessions.application_name()
        )
        assert connection.execute(sqlalchemy.text("SHOW lock_timeout")).scalar() == "1min"
    engine.dispose()
