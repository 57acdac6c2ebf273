"""Open a study database: SQLite's settings, and errors as plain sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy

# Optuna's tables are private. Its public API takes dozens of commits for a trial:
# https://github.com/optuna/optuna/issues/3048
from optuna.storages._rdb import models as models
from sqlalchemy import Connection, Engine, event

from tunecli.database import schema, sqlite_files
from tunecli.database.urls import display_url, masked, refuse_unusable, sqlite_file
from tunecli.errors import NO_RIGHT, NO_ROOM, DatabaseError


def open_engine(url: str) -> Engine:
    """Open a database with Optuna's tables, and create them in a new database.

    Raises:
        DatabaseError: it cannot be opened, or belongs to another version of Optuna.
    """
    refuse_unusable(url)
    path = sqlite_file(url)
    arguments = {"timeout": sqlite_files.BUSY_SECONDS} if path is not None else {}
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
        return _with_sqlite_settings(storage.engine)


def _columns() -> dict[str, set[str]]:
    """Return the column names of each table, Optuna's and ours."""
    known = [*models.BaseModel.metadata.tables.values()]
    known += [table for name, table in schema.metadata.tables.items() if name != "trials"]
    return {table.name: set(table.columns.keys()) for table in known}


def exists(url: str) -> bool:
    """Return whether the database exists; a server is contacted only when it is opened.

    Raises:
        DatabaseError: the file exists, but is not a complete study database.
    """
    path = sqlite_file(url)
    if path is None:
        return True
    with clear_errors(url):
        if not _holds_something(path):
            return False
        sqlite_files.refuse_unfit(path)
    return True


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
        raise DatabaseError(masked(_sentence(display_url(url), error), url)) from error


def _sentence(database: str, error: Exception) -> str:
    original = getattr(error, "orig", None) or error.__cause__ or error
    cause, number = sqlite_files.in_one_line(original), getattr(original, "errno", None)
    again = "Stored results are kept: run the same command to resume."
    if "locked" in cause:
        waited = f"{sqlite_files.BUSY_SECONDS:g} s"
        advice = "Close that program."
        return f"{database} was locked by another program for {waited}. {advice} {again}"
    if "readonly" in cause or "unable to open" in cause or number in NO_RIGHT:
        advice = "Make the file and its folder writable."
        return f"{database} cannot be written ({cause}). {advice} {again}"
    if "full" in cause or "disk I/O" in cause or number in NO_ROOM:
        return f"{database} cannot be written: the disk is full or failing ({cause}). {again}"
    if "malformed" in cause or "not a database" in cause:
        return f"{database} is damaged ({cause}). {sqlite_files.WAYS_OUT}"
    return f"The study database {database} cannot be used: {cause}."


def _with_sqlite_settings(engine: Engine) -> Engine:
    """Take the write lock at the start of every transaction, and wait for the disk at its end."""
    if engine.dialect.name != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # SQLAlchemy sends BEGIN, not the driver
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections that Optuna opened before lack these settings
    return engine
