"""One driver per study on a PostgreSQL server: advisory locks, which the server releases.

A lock belongs to a session. The driver's writing session takes the lock as soon as it is opened,
so whoever has lost the lock has also lost the session, and can write only through another one,
which must take the lock first: https://www.postgresql.org/docs/current/explicit-locking.html.
A lock of its own keeps a second search off before the study exists.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psutil
from sqlalchemy import Engine, event, text

from tunecli.database.server.sessions import application_name, value_of
from tunecli.errors import DatabaseAwayError, StudyBusyError

Role = Literal["search", "write"]

DYING_SECONDS = 10.0
"""How long the session of a killed process of this machine may take to end."""


@dataclass(frozen=True)
class _Holder:
    """The session that holds a lock. Its application is unknown if another role opened it."""

    application: str | None
    role: str
    since: datetime | None

    @property
    def is_own(self) -> bool:
        """Whether this process opened the session."""
        return self.application == application_name()

    @property
    def is_gone(self) -> bool:
        """Whether the process was one of this machine and has ended."""
        found = re.fullmatch(r"(tunecli, process )(\d+)( on .*)", self.application or "")
        if found is None:
            return False
        was_here = application_name(int(found[2])) == self.application
        return was_here and not psutil.pid_exists(int(found[2]))

    def __str__(self) -> str:
        """Return the holder in words, in printable characters."""
        name = (self.application or "").removeprefix("tunecli, ") or f"a session of {self.role}"
        since = self.since and self.since.astimezone().isoformat(sep=" ", timespec="seconds")
        return ascii(f"{name} since {since}" if since else name)[1:-1]


def lock_on_connect(engine: Engine, study: str, role: Role) -> bool:
    """Let each new session of an engine take a study's lock.

    Returns:
        False for another database than PostgreSQL: only that has such locks.

    A session that cannot take it raises StudyBusyError; or DatabaseAwayError if only an earlier
    session of this process still holds it, because the server has not noticed its end.
    """
    if engine.dialect.name != "postgresql":
        return False

    @event.listens_for(engine, "connect")
    def _take(connection: Any, _: object) -> None:
        try:
            _lock(connection, study, role)
            connection.commit()  # the lock stays until the session ends
        except BaseException:
            connection.close()
            raise

    return True


@contextmanager
def in_turn_on_server(engine: Engine) -> Iterator[None]:
    """Wait for the lock of those who create tables, and hold it; only PostgreSQL has one."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SELECT pg_advisory_lock({_key('tunecli tables')})"))
        yield
        connection.execute(text("SELECT pg_advisory_unlock_all()"))


def _lock(connection: Any, study: str, role: Role) -> None:
    (key,) = value_of(connection, f"SELECT {_key(f'tunecli {role} {study}')}")
    end = time.monotonic() + DYING_SECONDS
    while value_of(connection, f"SELECT pg_try_advisory_lock({key})") != (True,):
        holder = _holder(connection, key)
        if (holder is None or holder.is_gone) and time.monotonic() < end:
            time.sleep(0.05)  # it ends just now
        elif holder is not None and holder.is_own and role == "write":
            raise DatabaseAwayError(
                "The database server has not noticed yet that this search lost its session."
            )
        else:
            who = holder or "another session"
            raise StudyBusyError(
                f"Study {study} is in use by {who}. Wait until it ends, or stop it. If its "
                "machine is gone, the server notices within a minute."
            )


def _key(name: str) -> str:
    """Return SQL for the key of a lock, in the current schema."""
    quoted = name.replace("'", "''")
    return f"hashtextextended(concat(current_schema(), ' {quoted}'), 0)"


_HOLDER = """
SELECT application_name, usename, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = {high} AND objid = {low}
AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""The server keeps the halves of a key apart."""


def _holder(connection: Any, key: int) -> _Holder | None:
    """Return who holds a lock; None if nobody does any more."""
    high, low = divmod(key % 2**64, 2**32)
    row = value_of(connection, _HOLDER.format(high=high, low=low))
    return None if row is None else _Holder(*row)
