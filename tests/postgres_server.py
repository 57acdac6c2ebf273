"""A PostgreSQL server for tests: Debian's package, in a temporary folder, on loopback.

PostgreSQL refuses to run as root, so root starts it as `nobody`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg
import pytest
from psycopg import sql

PASSWORD = "qzq@s/cr:et"
"""It must be encoded in a URL, and occurs nowhere by chance."""
_ENCODED = "qzq%40s%2Fcr%3Aet"
ROLE = "searcher"


@cache
def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian keeps them off the PATH."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return folders[-1].parent if folders else None


needs_postgresql = pytest.mark.skipif(
    programs() is None, reason="PostgreSQL's server is not installed: apt-get install postgresql"
)


@dataclass(frozen=True)
class Server:
    """A server that one test session owns. Its role `searcher` is not a superuser.

    Attributes:
        folder: owned by the user that the server runs as.
    """

    folder: Path
    port: int

    def start(self) -> None:
        self._control("start", "-l", str(self.folder / "log"), "-o", self._options())

    def stop(self, mode: str = "fast") -> None:
        self._control("stop", "-m", mode)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{ROLE}:{_ENCODED}@127.0.0.1:{self.port}/{database}"

    def url_without_password(self, database: str) -> str:
        return f"postgresql+psycopg://{ROLE}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def connected(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """A connection of the superuser, which commits by itself."""
        with psycopg.connect(
            host=str(self.folder), port=self.port, user="owner", dbname=database, autocommit=True
        ) as opened:
            yield opened

    def rows(self, database: str, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.connected(database) as opened:
            return opened.execute(query, values or None).fetchall()

    def create_database(self, name: str) -> str:
        """Create an empty database; return its URL, with the password."""
        with self.connected() as opened:
            opened.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(ROLE)
                )
            )
        return self.url(name)

    def _options(self) -> str:
        return f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"

    def _control(self, *words: str) -> None:
        _run_unprivileged(self.folder, "pg_ctl", "-w", "-D", str(self.folder / "data"), *words)


@contextmanager
def running_server() -> Iterator[Server]:
    """Make a server, and remove it at the end."""
    folder = Path(mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 bytes
    server = Server(folder, _free_port())
    try:
        _initialize(server)
        server.start()
        with server.connected() as opened:
            opened.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(ROLE), sql.Literal(PASSWORD)
                )
            )
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(folder)


def _initialize(server: Server) -> None:
    folder = server.folder
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    words = ("--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "--encoding=UTF8")
    _run_unprivileged(folder, "initdb", "-D", str(folder / "data"), "-U", "owner", *words)


def _run_unprivileged(folder: Path, program: str, *words: str) -> None:
    found = programs()
    assert found is not None
    user = ["setpriv", "--reuid=nobody", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*user, str(found / program), *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,  # not a pipe, which the server would keep open
        stderr=subprocess.DEVNULL,
    )
    log = folder / "log"
    told = log.read_text()[-2000:] if log.exists() else ""
    assert done.returncode == 0, f"{program} {words} failed: {told}"


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port
