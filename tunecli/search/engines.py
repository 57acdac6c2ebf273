"""How a study database is opened: SQLite's manners, and errors in plain sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy
from sqlalchemy import Connection, Engine, event

from tunecli.errors import DatabaseError
from tunecli.search.urls import refuse_unusable, shown, sqlite_file

BUSY_SECONDS = 60.0  # how long a write waits for another process that holds the lock


def open_engine(url: str) -> Engine:
    """Open a database with Optuna's tables, making those that are missing.

    Raises:
        DatabaseError: it cannot be opened, or is of another version of Optuna.
    """
    refuse_unusable(url)
    arguments = {"timeout": BUSY_SECONDS} if sqlite_file(url) is not None else {}
    with clear_errors(url):
        try:
            storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": arguments})
        except RuntimeError as error:  # Optuna's words on a schema of another version
            raise DatabaseError(
                f"The study database {shown(url)} cannot be used: {error}"
            ) from error
        return _with_sqlite_manners(storage.engine)


def exists(url: str) -> bool:
    """Whether there is a database at all; asks a server only when it is opened."""
    path = sqlite_file(url)
    if path is None:
        return True
    if not path.exists() or path.stat().st_size == 0:
        return False
    _refuse_foreign(path)
    return True


@contextmanager
def clear_errors(url: str) -> Iterator[None]:
    """Turn what a database raises into a sentence for the user."""
    try:
        yield
    except sqlalchemy.exc.IntegrityError as error:
        raise DatabaseError(
            f"Another search writes to the same study in {shown(url)}, so this one stops; what "
            "it had stored is kept. End the other one, then run the same command."
        ) from error
    except (
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.StorageInternalError,
        sqlite3.Error,
        OSError,
    ) as error:
        raise DatabaseError(_sentence(shown(url), error)) from error


def _sentence(place: str, error: Exception) -> str:
    cause = str(getattr(error, "orig", None) or error.__cause__ or error)
    again = "What was stored is kept: run the same command to go on."
    if "locked" in cause:
        return f"{place} was locked by another program for {BUSY_SECONDS:g} s. End that. {again}"
    if "readonly" in cause:
        return f"{place} cannot be written ({cause}). Allow it. {again}"
    if "full" in cause or "disk I/O" in cause:
        return f"{place} cannot be written: the disk is full or fails ({cause}). {again}"
    return f"The study database {place} cannot be used: {cause}."


def _with_sqlite_manners(engine: Engine) -> Engine:
    """Begin every transaction with the write lock, and wait for the disk at its end."""
    if engine.dialect.name != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, not the driver
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections that Optuna opened before know no manners
    return engine


def _refuse_foreign(path: Path) -> None:
    """Look before Optuna opens the file, since it writes its tables into whatever it is given."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'studies'"
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            found = connection.execute(query).fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise DatabaseError(f"{path} cannot be read as a study database ({error}).") from None
    if not found:
        raise DatabaseError(
            f"{path} is a database, but not a study database; nothing was written to it. "
            "Give another place with --runs or --storage."
        )
