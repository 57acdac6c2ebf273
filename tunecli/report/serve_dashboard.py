"""optuna-dashboard on a study's database, read-only: it never disturbs a running search."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from tunecli.database.server.sessions import READ_ONLY, connect_arguments
from tunecli.database.sqlite_files import open_read_only, refuse_unfit
from tunecli.database.urls import sqlite_file
from tunecli.errors import AddressError, MissingPackageError
from tunecli.report.studies.listing import studies_in

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application, see PEP 3333."""

READING = ("GET", "HEAD")
REFUSAL = "This dashboard is read-only: only `tunecli search` changes the study."
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class DashboardServer(ThreadingMixIn, WSGIServer):
    """A server that answers until it is interrupted; importances take long, so it uses threads."""

    daemon_threads = True

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return ip_address(str(self.server_address[0])).is_loopback

    def interrupt(self) -> None:
        """Stop the server soon; safe in a signal handler, where `shutdown` would wait forever."""
        Thread(target=self.shutdown).start()


def dashboard_server(url: str, host: str, port: int) -> DashboardServer:
    """Return a server of one database that already listens.

    Args:
        port: 0 for any free port; `server_port` is the chosen one.

    Raises:
        MissingPackageError: optuna-dashboard is not installed.
        StudyNotFoundError: there is no such SQLite file.
        DatabaseError: the database is damaged, foreign or locked.
        AddressError: the address is taken, forbidden or does not exist.
    """
    try:
        from optuna_dashboard import wsgi
    except ModuleNotFoundError as error:
        raise MissingPackageError("dashboard", error) from None
    app = wsgi(read_only_storage(url))
    try:
        server = make_server(
            host, port, app, server_class=DashboardServer, handler_class=_SilentHandler
        )
    except (OSError, OverflowError) as error:  # taken, forbidden, or no such address
        raise AddressError(
            f"Cannot listen at {host}:{port} ({getattr(error, 'strerror', None) or error}). "
            "Choose another address with --host and --port."
        ) from None
    assert isinstance(server, DashboardServer)
    server.set_app(guarded(app, Addresses.of(host, server)))
    return server


@dataclass(frozen=True)
class Addresses:
    """The addresses by which a browser may call a server.

    A foreign page can make its own name lead to this machine (DNS rebinding), and the browser then
    lets it read the answers. But it cannot change the name in the `Host` header.

    Attributes:
        names: names of this machine, in lower case.
        numbers: whether any IP address is accepted.
    """

    names: frozenset[str]
    port: int
    numbers: bool

    @classmethod
    def of(cls, host: str, server: DashboardServer) -> Addresses:
        """Return the addresses of a server that listens at `host`."""
        others = () if server.is_local else (socket.gethostname(), socket.getfqdn())
        names = {name.lower() for name in (host, *LOOPBACK, *others)}
        return cls(frozenset(names), server.server_port, numbers=not server.is_local)

    def include(self, host: str | None) -> bool:
        """Return whether a `Host` header names the server."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        is_bare = parts.netloc == host and "@" not in parts.netloc
        name = f"[{name}]" if ":" in name else name
        return is_bare and port == self.port and (name in self.names or self._is_number(name))

    def _is_number(self, name: str) -> bool:
        try:
            return self.numbers and bool(ip_address(name.strip("[]")))
        except ValueError:
            return False


def read_only_storage(url: str) -> RDBStorage:
    """Return Optuna's storage on a database that it must not change.

    A SQLite file is opened read-only, so that SQLite itself refuses to write or lock it; a
    PostgreSQL server refuses to write, too.

    Raises:
        StudyNotFoundError: there is no such SQLite file.
        DatabaseError: the database is damaged, foreign or locked.
    """
    studies_in(url)  # Optuna would create what is missing; this raises an error instead
    path = sqlite_file(url)
    if path is None:
        options = {"connect_args": connect_arguments(url)}
        if make_url(url).get_backend_name() == "postgresql":
            options["execution_options"] = READ_ONLY
        return RDBStorage(url, options, skip_compatibility_check=True, skip_table_creation=True)
    refuse_unfit(path)
    return RDBStorage(
        "sqlite://",
        {"creator": lambda: open_read_only(path), "poolclass": NullPool},
        skip_compatibility_check=True,
        skip_table_creation=True,
    )


def guarded(app: App, known: Addresses) -> App:
    """Return the application with 403 for other addresses, and for what would change something."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        is_ours = origin is None or known.include(origin.removeprefix("http://"))
        if not is_ours or not known.include(environ.get("HTTP_HOST")):
            own = f"its own address, port {known.port}"
            return _refused(start_response, f"This dashboard answers only requests for {own}.")
        if environ["REQUEST_METHOD"] not in READING:
            return _refused(start_response, REFUSAL)
        return app(environ, start_response)

    return answer


def _refused(start_response: Callable[..., Any], reason: str) -> list[bytes]:
    start_response("403 Forbidden", [("Content-Type", "application/json")])
    return [json.dumps({"reason": reason}).encode()]  # the key that the page reads


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the page sends a request every few seconds."""
