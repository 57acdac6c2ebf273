"""Create a study in a database: completely, or not at all, even if the process is killed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from optuna.study import StudyDirection
from sqlalchemy import Connection, Engine, Table, delete, insert, select, update

from tunecli.database import schema
from tunecli.database.clock import stamps
from tunecli.database.engines import (
    clear_errors,
    closing_engine,
    exists,
    models,
    open_engine,
)
from tunecli.database.server.driver_lock import in_turn_on_server
from tunecli.database.server.sessions import reading_engine
from tunecli.database.urls import display_url, sqlite_file, sqlite_url
from tunecli.errors import DatabaseError
from tunecli.files.file_lock import in_turn
from tunecli.files.whole import users_file
from tunecli.study_file.read.study_name import TRASH
from tunecli.study_file.settings.settings import Direction

_STUDIES = models.StudyModel.__table__
_DIRECTIONS = models.StudyDirectionModel.__table__
_ATTRIBUTES = models.StudyUserAttributeModel.__table__
_TRIALS = models.TrialModel.__table__


def create(
    url: str, name: str, directions: Sequence[Direction], attributes: Mapping[str, Any]
) -> None:
    """Create an empty study with its attributes, and its database if it does not exist.

    Args:
        directions: directions of the objectives, in their order.

    Raises:
        DatabaseError: a study of that name exists, or the database cannot be used.
    """
    with clear_errors(url):
        path = sqlite_file(url)
        if path is not None and not exists(url):
            lock = path.with_name(f"{path.name}.new.lock")
            with in_turn(lock):  # two studies may create a shared database
                if not exists(url):
                    with users_file(path) as new:  # Optuna needs many transactions for its tables
                        _write(sqlite_url(new), name, directions, attributes)
                    lock.unlink()  # a process that waits for it finds a database
                    return
        _write(url, name, directions, attributes)


def find_study_id(connection: Connection, name: str) -> int | None:
    """Return the id of a study, or None if no study has that name."""
    query = select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name)
    study_id: int | None = connection.execute(query).scalar()
    return study_id


def rename_to_trash(connection: Connection, study_id: int, name: str) -> str:
    """Rename a study to an unused name that no study file can have; return that name."""
    names = (f"{TRASH}/{name}/{stamp}" for stamp in stamps())
    new = next(new for new in names if find_study_id(connection, new) is None)
    connection.execute(
        update(_STUDIES).where(_STUDIES.c.study_id == study_id).values(study_name=new)
    )
    return new


def attribute_rows(study_id: int, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return attributes as rows of Optuna's table of study user attributes."""
    return [
        {
            "study_id": study_id,
            "key": f"tunecli:{key}",
            "value_json": json.dumps(value, default=asdict),
        }
        for key, value in attributes.items()
    ]


def inserted_id(connection: Connection, table: Table, row: Mapping[str, Any]) -> int:
    """Insert a row and return its new id."""
    key = connection.execute(insert(table), row).inserted_primary_key
    assert key is not None
    new: int = key[0]
    return new


def _write(
    url: str, name: str, directions: Sequence[Direction], attributes: Mapping[str, Any]
) -> None:
    """Write the study in one transaction, after the tables."""
    engine = _engine_with_tables(url)
    try:
        with engine.begin() as connection:
            _remove_orphans(connection)
            if find_study_id(connection, name) is not None:
                raise DatabaseError(f"{display_url(url)} already holds a study named {name}.")
            study_id = inserted_id(connection, _STUDIES, {"study_name": name})
            rows = [
                {"study_id": study_id, "objective": i, "direction": StudyDirection[way.upper()]}
                for i, way in enumerate(directions)
            ]
            connection.execute(insert(_DIRECTIONS), rows)
            if attributes:
                connection.execute(insert(_ATTRIBUTES), attribute_rows(study_id, attributes))
    finally:
        engine.dispose()


def add_missing_tables(url: str) -> None:
    """Create the tables that an earlier version did not have, for a study that it made."""
    with clear_errors(url):
        _engine_with_tables(url).dispose()


def _engine_with_tables(url: str) -> Engine:
    """Open a database and create what it lacks; on a server, one process at a time."""
    with ExitStack() as turn:
        if sqlite_file(url) is None:
            waiting = reading_engine(url)
            turn.enter_context(closing_engine(waiting))
            turn.enter_context(in_turn_on_server(waiting))
        engine = open_engine(url)
        schema.metadata.create_all(engine)
        return engine


def _remove_orphans(connection: Connection) -> None:
    """Remove our rows of trials that other tools deleted, since their ids are used again."""
    for table in schema.OURS:
        connection.execute(
            delete(table).where(table.c.trial_id.not_in(select(_TRIALS.c.trial_id)))
        )
