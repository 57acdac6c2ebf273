"""Open a study database: in a file or on a server, and errors as plain sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import optuna
import sqlalchemy

# Optuna's tables are private. Its public API takes dozens of commits for a trial:
# https://github.com/optuna/optuna/issues/3048
from optuna.storages._rdb import models as models
from sqlalchemy import Connection, Engine, event

from tunecli.database import schema, sqlite_files
from tunecli.database.server.driver_lock import lock_on_connect
from tunecli.database.server.sessions import (
    LOCKED_SECONDS,
    connect_arguments,
    is_away,
    reading_engine,
    sql_state,
    writing_engine,
)
from tunecli.database.urls import display_url, masked, refuse_unusable, sqlite_file
from tunecli.errors import NO_RIGHT, NO_ROOM, RESUME, DatabaseAwayError, DatabaseError


def open_engine(url: str) -> Engine:
    """Open a database with Optuna's tables, and create them in a new database.

    Raises:
        DatabaseError: it cannot be opened, or belongs to another version of Optuna.
    """
    refuse_unusable(url)
    path = sqlite_file(url)
    busy = {"timeout": sqlite_files.BUSY_SECONDS}
    arguments = connect_arguments(url) if path is None else busy
    with clear_errors(url):
        try:
            storage = optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": arguments},
                skip_table_creation=path is not None and _holds_something(path),
            )
            if path is not None and _holds_something(path):
                sqlite_files.refuse_other_columns(path, _columns())
        except (TypeError, ValueError) as error:  # from the URL's query, which the driver reads
            cause = masked(sqlite_files.in_one_line(error), url)
            raise DatabaseError(f"{display_url(url)} cannot be opened: {cause}.") from error
        except RuntimeError as error:  # Optuna's message about a schema of another version
            raise DatabaseError(
                f"{display_url(url)} cannot be used, and nothing was written to it: "
                f"{masked(sqlite_files.in_one_line(error), url)}"
            ) from error
        storage.engine.dispose()  # connections that Optuna opened before lack our settings
        return writing_engine(url) if path is None else _with_sqlite_settings(storage.engine)


def _columns() -> dict[str, set[str]]:
    """Return the column names of each table, Optuna's and ours."""
    known = [*models.BaseModel.metadata.tables.values()]
    known += [table for name, table in schema.metadata.tables.items() if name != "trials"]
    return {table.name: set(table.columns.keys()) for table in known}


def exists(url: str) -> bool:
    """Return whether the file exists, or the database on a server has Optuna's tables.

    Raises:
        DatabaseError: the file exists, but is not a complete study database; the server cannot be
            reached.
    """
    path = sqlite_file(url)
    if path is None:
        return _has_tables(url)
    with clear_errors(url):
        if not _holds_something(path):
            return False
        sqlite_files.refuse_unfit(path)
    return True


def _has_tables(url: str) -> bool:
    engine = reading_engine(url)
    with clear_errors(url), closing_engine(engine), engine.connect() as connection:
        return sqlalchemy.inspect(connection).has_table(_LAST_OF_OPTUNA)


_LAST_OF_OPTUNA = "alembic_version"
"""Optuna creates this table after all others."""


@contextmanager
def hold_study(url: str, name: str) -> Iterator[None]:
    """Hold a study on a PostgreSQL server; no other server can lock something for so long.

    Raises:
        StudyBusyError: another process holds it.
        DatabaseError: the server cannot be reached.
    """
    engine = reading_engine(url)
    with closing_engine(engine), ExitStack() as held:
        if lock_on_connect(engine, name, "search"):
            with clear_errors(url):
                held.enter_context(engine.connect())
        yield


@contextmanager
def closing_engine(engine: Engine) -> Iterator[None]:
    """Close the connections of an engine at the end."""
    try:
        yield
    finally:
        engine.dispose()


def _holds_something(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


@contextmanager
def clear_errors(url: str) -> Iterator[None]:
    """Turn the errors of a database into sentences for the user."""
    try:
        yield
    except sqlalchemy.exc.IntegrityError as error:
        raise DatabaseError(
            f"Another search writes to the same study in {display_url(url)}, so this one stopped; "
            "its stored results are kept. Stop the other search, then run the same command."
        ) from error
    except (
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.StorageInternalError,
        sqlite3.Error,
        OSError,
    ) as error:
        cause = _of_sqlalchemy(error)
        kind = DatabaseAwayError if is_away(cause) else DatabaseError
        raise kind(masked(_sentence(display_url(url), cause), url)) from error


def _of_sqlalchemy(error: Exception) -> Exception:
    """Return the error that Optuna's own wraps, if it wraps one."""
    cause = error.__cause__
    return cause if isinstance(cause, sqlalchemy.exc.SQLAlchemyError) else error


def _sentence(database: str, error: Exception) -> str:
    original = getattr(error, "orig", None) or error.__cause__ or error
    cause, number = sqlite_files.in_one_line(original), getattr(original, "errno", None)
    if sql_state(error) is not None:
        return _sentence_of_server(database, error, cause)
    if "locked" in cause:
        waited = f"{sqlite_files.BUSY_SECONDS:g} s"
        advice = "Close that program."
        return f"{database} was locked by another program for {waited}. {advice} {RESUME}"
    if "readonly" in cause or "unable to open" in cause or number in NO_RIGHT:
        advice = "Make the file and its folder writable."
        return f"{database} cannot be written ({cause}). {advice} {RESUME}"
    if "full" in cause or "disk I/O" in cause or number in NO_ROOM:
        return f"{database} cannot be written: the disk is full or failing ({cause}). {RESUME}"
    if "malformed" in cause or "not a database" in cause:
        return f"{database} is damaged ({cause}). {sqlite_files.WAYS_OUT}"
    return f"The study database {database} cannot be used: {cause}."


def _sentence_of_server(database: str, error: Exception, cause: str) -> str:
    if sql_state(error) == "55P03":  # lock_timeout
        waited = f"{LOCKED_SECONDS:g} s"
        return f"{database} was locked by another session for {waited}. End it. {RESUME}"
    if "too many c" in cause or "connection slots" in cause:  # clients, or connections
        advice = "Close other connections, or raise the limit of the server or of the role."
        return f"{database} takes no more connections ({cause}). {advice}"
    if sql_state(error) in ("25006", "42501"):  # read-only, no privilege
        return f"{database} cannot be written ({cause}). Use a role that may write. {RESUME}"
    return f"The study database {database} cannot be used: {cause.rstrip('.?')}."


def _with_sqlite_settings(engine: Engine) -> Engine:
    """Take the write lock at the start of every transaction, and wait for the disk at its end."""

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # SQLAlchemy sends BEGIN, not the driver
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
