"""The dashboard shows a study and cannot change it."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import call_in, command, environment
from in_process import drive
from study_makers import complete, made, mlp

from tunecli.database.urls import sqlite_url
from tunecli.errors import AddressError, DatabaseError, MissingPackageError, StudyNotFoundError
from tunecli.report.serve_dashboard import LOOPBACK, Addresses, dashboard_server, read_only_storage
from tunecli.study_file.study_file import StudyFile

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
from optuna.exceptions import StorageInternalError
from optuna_dashboard import wsgi

TRIALS = [(mlp(0.01), complete(0.8, 0.9)), (mlp(0.1, optimizer="SGD"), None)]


@contextmanager
def served(url: str) -> Iterator[str]:
    """The address of a dashboard that answers."""
    with dashboard_server(url, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.interrupt()
            thread.join()


def asked(address: str, method: str = "GET") -> bytes:
    request = urllib.request.Request(
        address, method=method, data=b"{}" if method != "GET" else None
    )
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def test_it_shows_what_is_there_also_of_a_trial_that_runs(tmp_path: Path) -> None:
    with served(made(tmp_path, TRIALS)) as address:
        assert b"<html" in asked(f"{address}/dashboard/studies/1")
        [study] = json.loads(asked(f"{address}/api/studies"))["study_summaries"]
        trials = json.loads(asked(f"{address}/api/studies/1"))["trials"]
    assert study["study_name"] == "digits"
    assert [trial["state"] for trial in trials] == ["Complete", "Running"]
    assert trials[0]["values"] == [pytest.approx(0.85)]


def test_whatever_would_change_something_is_refused(tmp_path: Path) -> None:
    url = made(tmp_path, TRIALS)
    before = (tmp_path / "study.db").read_bytes()
    changing = {
        (route.method, route.rule.replace("<study_id:int>", "1").replace("<trial_id:int>", "1"))
        for route in wsgi(read_only_storage(url)).routes
        if route.method not in ("GET", "HEAD")
    }
    assert {("DELETE", "/api/studies/1"), ("POST", "/api/studies/1/rename")} <= changing
    with served(url) as address:
        for method, path in changing:
            with pytest.raises(urllib.error.HTTPError, match="403") as refused:
                asked(address + path, method)
            assert "read-only" in json.loads(refused.value.read())["reason"]
            refused.value.close()
    assert (tmp_path / "study.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_sqlite_itself_refuses_to_write(tmp_path: Path) -> None:
    storage = read_only_storage(made(tmp_path, TRIALS))
    for change in (
        lambda: storage.delete_study(1),
        lambda: storage.set_study_user_attr(1, "note", "mine"),
        lambda: storage.set_trial_intermediate_value(2, 9, 1.0),
        lambda: storage.create_new_trial(1),
    ):
        with pytest.raises(StorageInternalError):
            change()
    assert storage.get_study_name_from_id(1) == "digits"
    assert [trial.number for trial in storage.get_all_trials(1)] == [0, 1]


def test_a_search_under_way_does_not_feel_it(tmp_path: Path) -> None:
    text = "data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: {float: [1e-4, 1], log: true}}}"
    study = StudyFile.from_text(text, "watched.yaml").completed("classification", 100, {})
    url = sqlite_url(tmp_path / "study.db")
    drive(study, url, n_total=1)
    shutil.copy(tmp_path / "study.db", tmp_path / "alone.db")
    alone = drive(study, sqlite_url(tmp_path / "alone.db"), n_total=12)
    seen: list[int] = []
    done = threading.Event()
    with served(url) as address:

        def look() -> None:
            while not done.is_set():
                seen.append(len(json.loads(asked(f"{address}/api/studies/1"))["trials"]))

        looking = threading.Thread(target=look)
        looking.start()
        try:
            watched = drive(study, url, n_total=12)
        finally:
            done.set()
            looking.join()
    assert watched == alone
    assert seen == sorted(seen)
    assert len(seen) > 1


OWN = ["localhost:8", "LOCALHOST:8", "127.0.0.1:8", "[::1]:8"]
FOREIGN = [
    *("evil.example:8", "evil.example", "localhost", "127.0.0.1", "localhost:9", "", None),
    *("127.0.0.1.evil.example:8", "localhost:8,evil.example:8", "localhost:8/x", "a@localhost:8"),
    *("localhost:8@evil.example:8", "localhost:x", "[::1", "[::1]", "8", ":8", "localhost:8#"),
    *("http://localhost:8", "localhost :8", "127.1:8", "0x7f000001:8"),
]
"""`Host` headers, with 8 in place of the port."""


@pytest.mark.parametrize("host", [*OWN, *FOREIGN])
def test_a_name_that_leads_here_from_elsewhere_gets_no_answer(host: str | None) -> None:
    local = Addresses(frozenset(LOOPBACK), 8, numbers=False)
    assert local.include(host) == (host in OWN)


def test_who_listens_to_the_network_is_called_by_any_number_and_its_own_names() -> None:
    known = Addresses(frozenset([*LOOPBACK, "lab"]), 80, numbers=True)
    for host in ("192.168.1.5", "192.168.1.5:80", "[fe80::1]:80", "lab", "lab:80", "localhost"):
        assert known.include(host), host
    for host in ("evil.example", "lab.evil.example", "192.168.1.5:8080", "192.168.1.5.nip.io"):
        assert not known.include(host), host


@pytest.mark.parametrize("header", ["Host", "Origin"])
def test_other_pages_read_nothing_of_a_study(tmp_path: Path, header: str) -> None:
    with served(made(tmp_path, TRIALS)) as address:
        port = address.rpartition(":")[2]
        for path in ("/api/studies", "/api/studies/1", "/dashboard", "/nothing"):
            request = urllib.request.Request(address + path)
            request.add_header(header, f"http://evil.example:{port}"[7 * (header == "Host") :])
            with pytest.raises(urllib.error.HTTPError, match="403") as refused:
                urllib.request.urlopen(request)
            assert (
                "only requests for its own address" in json.loads(refused.value.read())["reason"]
            )
            refused.value.close()
        for own in (address, address.replace("127.0.0.1", "localhost")):
            request = urllib.request.Request(f"{address}/api/studies", headers={"Origin": own})
            assert urllib.request.urlopen(request).status == 200


def test_what_is_no_study_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(StudyNotFoundError, match="no study database"):
        dashboard_server(sqlite_url(tmp_path / "none.db"), "127.0.0.1", 0)
    (tmp_path / "text.db").write_text("no database at all " * 100)
    with pytest.raises(DatabaseError):
        dashboard_server(sqlite_url(tmp_path / "text.db"), "127.0.0.1", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["text.db"]


def test_an_address_that_is_taken_is_told_in_a_sentence(tmp_path: Path) -> None:
    url = made(tmp_path, TRIALS)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressError, match=f"127.0.0.1:{port} .*--host and --port"):
            dashboard_server(url, "127.0.0.1", port)


def test_without_the_package_the_way_to_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)  # as Python marks what is not there
    with pytest.raises(MissingPackageError, match=r"pip install 'tunecli\[dashboard\]'") as error:
        dashboard_server(made(tmp_path, TRIALS), "127.0.0.1", 0)
    assert error.value.exit_code == 2


def test_without_a_name_there_must_be_one_study(tmp_path: Path) -> None:
    assert "no studies in runs" in call_in(tmp_path, "dashboard", code=2).stderr
    for name in ("ants", "bees"):
        made(tmp_path / "runs" / name, TRIALS, name=name)
    assert "ants, bees" in call_in(tmp_path, "dashboard", code=2).stderr


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_ctrl_c_is_how_it_ends(tmp_path: Path, stop: signal.Signals, code: int) -> None:
    made(tmp_path / "runs" / "digits", TRIALS)
    running = subprocess.Popen(
        command("dashboard", "--port", "0"),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    address = running.stderr.readline().split()[0]
    assert b"<html" in asked(address)
    running.send_signal(stop)
    assert running.communicate(timeout=30)[1] == ""
    assert running.returncode == code
