"""Sessions on a database server, which notice within a minute that the other side is gone."""

from __future__ import annotations

import os
import re
import socket
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

LOCKED_SECONDS = 60.0
"""How long a statement waits for a lock of another session."""
_LONGEST_NAME = 63
"""Length in bytes; PostgreSQL cuts longer names of applications."""

_OF_LIBPQ: dict[str, Any] = {
    "connect_timeout": 10,  # s
    "keepalives_idle": 30,  # s
    "keepalives_interval": 10,  # s
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # ms
}
"""What libpq calls a lost server; by default a command may wait for one forever."""


def application_name(pid: int | None = None) -> str:
    """Return the name by which a server shows a process of this machine; None: this process."""
    host = re.sub(r"[^\w.-]", "_", socket.gethostname(), flags=re.ASCII)
    return f"tunecli, process {pid or os.getpid()} on {host}"[:_LONGEST_NAME]


def connect_arguments(url: str) -> dict[str, Any]:
    """Return arguments of the driver that the URL leaves open; empty for an unknown driver."""
    parsed = make_url(url)
    return {} if not _has_libpq(parsed) else _without(_OF_LIBPQ, parsed.query)


def writing_engine(url: str) -> Engine:
    """Return an engine with one session; another is opened if it was lost between transactions."""
    return _engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)


def reading_engine(url: str) -> Engine:
    """Return an engine whose connections cannot write, and see one state of the database."""
    engine = _engine(url, poolclass=NullPool)
    if engine.dialect.name != "postgresql":
        return engine
    return engine.execution_options(**READ_ONLY)


READ_ONLY = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Options of SQLAlchemy for PostgreSQL."""


def is_away(error: BaseException) -> bool:
    """Return whether the server is away for now: it may take the same statement later."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code = sql_state(error)
    return isinstance(error, OperationalError) and (code == "" or code in _AWAY)


_AWAY = {"57P01", "57P02", "57P03", "53300", "08000", "08001", "08003", "08004", "08006"}
"""Shutting down, crashed, starting up, too many connections, and failures of a connection."""


def sql_state(error: BaseException) -> str | None:
    """Return PostgreSQL's code of an error; empty if no connection came about.

    None for another database.
    """
    original = getattr(error, "orig", None)
    for name in ("sqlstate", "pgcode"):  # of psycopg, and of psycopg2
        if hasattr(original, name):
            return getattr(original, name) or ""
    return None


def value_of(connection: Any, query: str) -> Any:
    """Return the first row of a query on a connection of the driver; None without rows."""
    cursor = connection.cursor()
    try:
        cursor.execute(query)
        return cursor.fetchone()
    finally:
        cursor.close()


def _engine(url: str, **options: Any) -> Engine:
    engine = create_engine(make_url(url), connect_args=connect_arguments(url), **options)
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _configure)
    return engine


def _configure(connection: Any, _: object) -> None:
    """Set what an unprivileged role may set, if this version of PostgreSQL has it."""
    wanted = {
        "application_name": application_name(),
        "lock_timeout": f"{LOCKED_SECONDS:g}s",
        "idle_session_timeout": "0",  # the session holds a lock
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
    }
    rows = ", ".join(f"('{name}', '{value}')" for name, value in wanted.items())
    value_of(
        connection,
        "SELECT count(set_config(name, wanted.value, false)) "
        f"FROM pg_settings JOIN (VALUES {rows}) AS wanted (name, value) USING (name)",
    )
    connection.commit()


def _has_libpq(url: URL) -> bool:
    return url.get_dialect().driver in ("psycopg", "psycopg2", "psycopg_async")


def _without(arguments: dict[str, Any], names: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in names}
