"""optuna-dashboard on a study's database, for looking only: a search under way never feels it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import RDBStorage
from sqlalchemy.pool import NullPool

from tunecli.errors import AddressError, MissingPackageError
from tunecli.report.listing import studies_in
from tunecli.search.sqlite_files import open_read_only, refuse_unfit
from tunecli.search.urls import sqlite_file

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""What WSGI calls an application, see PEP 3333."""

READING = ("GET", "HEAD")
REFUSAL = "This dashboard only reads: the study belongs to `tunecli search`."


class DashboardServer(ThreadingMixIn, WSGIServer):
    """Answers until it is interrupted; each request in a thread, since importances take long."""

    daemon_threads = True

    def interrupt(self) -> None:
        """End soon; safe in a signal handler, where `shutdown` itself would wait for ever."""
        Thread(target=self.shutdown).start()


def dashboard_server(url: str, host: str, port: int) -> DashboardServer:
    """A server of one database, listening from now on.

    Args:
        port: 0 for any that is free; `server_port` tells which.

    Raises:
        MissingPackageError: optuna-dashboard is not installed.
        StudyNotFoundError: there is no such SQLite file.
        DatabaseError: the database is damaged, foreign or locked.
        AddressError: nothing can listen there.
    """
    try:
        from optuna_dashboard import wsgi
    except ModuleNotFoundError as error:
        raise MissingPackageError("dashboard", error) from None
    app = only_reading(wsgi(read_only_storage(url)))
    try:
        server = make_server(
            host, port, app, server_class=DashboardServer, handler_class=_SilentHandler
        )
    except (OSError, OverflowError) as error:  # taken, not ours, or no such address
        raise AddressError(
            f"Nothing can listen at {host}:{port} ({getattr(error, 'strerror', None) or error}). "
            "Name others with --host and --port."
        ) from None
    assert isinstance(server, DashboardServer)
    return server


def read_only_storage(url: str) -> RDBStorage:
    """Optuna's storage on a database that it must not change.

    A SQLite file is opened read-only, so that SQLite itself refuses to write or to lock it.

    Raises:
        StudyNotFoundError: there is no such SQLite file.
        DatabaseError: the database is damaged, foreign or locked.
    """
    studies_in(url)  # Optuna would make what is missing; this says what is wrong instead
    path = sqlite_file(url)
    if path is None:
        return RDBStorage(url, skip_compatibility_check=True, skip_table_creation=True)
    refuse_unfit(path)
    return RDBStorage(
        "sqlite://",
        {"creator": lambda: open_read_only(path), "poolclass": NullPool},
        skip_compatibility_check=True,
        skip_table_creation=True,
    )


def only_reading(app: App) -> App:
    """The application without all that would change something: that is answered with 403."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in READING:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [json.dumps({"reason": REFUSAL}).encode()]  # where the page looks for a reason

    return answer


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """The page asks every few seconds; that is no news for a terminal."""
