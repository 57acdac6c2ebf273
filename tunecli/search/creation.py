"""How a study comes into a database: whole, or not at all, wherever a kill falls."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from sqlalchemy import Connection, Engine, delete, insert, select

from tunecli.errors import DatabaseError
from tunecli.search import tables
from tunecli.search.engines import clear_errors, exists, open_engine
from tunecli.search.urls import shown, sqlite_file, sqlite_url
from tunecli.study_file.settings import Direction

_STUDIES = models.StudyModel.__table__
_DIRECTIONS = models.StudyDirectionModel.__table__
_ATTRIBUTES = models.StudyUserAttributeModel.__table__
_TRIALS = models.TrialModel.__table__


def create(
    url: str, name: str, directions: Sequence[Direction], attributes: Mapping[str, Any]
) -> None:
    """Make an empty study with its attributes, and its database where there is none.

    Args:
        directions: of the objectives, in their order.

    Raises:
        DatabaseError: there is a study of that name, or the database cannot be used.
    """
    with clear_errors(url):
        path = sqlite_file(url)
        if path is not None and not exists(url):
            with FileLock(f"{path}.new.lock") as lock:  # two studies may begin a shared database
                if not exists(url):
                    _make_file(path, name, directions, attributes)
                    Path(lock.lock_file).unlink()
                    return
        engine = open_engine(url)
        try:
            _begin(engine, url, name, directions, attributes)
        finally:
            engine.dispose()


def find(connection: Connection, name: str) -> int | None:
    """The id of a study, or None if there is none of that name."""
    query = select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name)
    found: int | None = connection.execute(query).scalar()
    return found


def was_begun(connection: Connection, study_id: int) -> bool:
    """Whether a study holds anything: a trial, or what tunecli knows of it."""
    trial = select(_TRIALS.c.trial_id).where(_TRIALS.c.study_id == study_id).limit(1)
    attribute = (
        select(_ATTRIBUTES.c.key)
        .where(_ATTRIBUTES.c.study_id == study_id, _ATTRIBUTES.c.key.startswith("tunecli:"))
        .limit(1)
    )
    return any(connection.execute(query).first() is not None for query in (trial, attribute))


def attribute_rows(study_id: int, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of Optuna's table of a study's user attributes."""
    return [
        {"study_id": study_id, "key": f"tunecli:{key}", "value_json": json.dumps(value)}
        for key, value in attributes.items()
    ]


def _make_file(
    path: Path, name: str, directions: Sequence[Direction], attributes: Mapping[str, Any]
) -> None:
    """Make the file under another name first: Optuna needs many transactions for its tables."""
    new = path.with_name(f"{path.name}.new")
    for left_over in (new, new.with_name(f"{new.name}-journal")):
        left_over.unlink(missing_ok=True)
    engine = open_engine(sqlite_url(new))
    _begin(engine, sqlite_url(new), name, directions, attributes)
    engine.dispose()
    _sync(new)
    os.replace(new, path)
    _sync(path.parent)


def _begin(
    engine: Engine,
    url: str,
    name: str,
    directions: Sequence[Direction],
    attributes: Mapping[str, Any],
) -> None:
    """Write the study in one transaction."""
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        _remove_orphans(connection)
        study_id = _take(connection, url, name)
        rows = [
            {"study_id": study_id, "objective": i, "direction": StudyDirection[way.upper()]}
            for i, way in enumerate(directions)
        ]
        connection.execute(insert(_DIRECTIONS), rows)
        if attributes:
            connection.execute(insert(_ATTRIBUTES), attribute_rows(study_id, attributes))


def _take(connection: Connection, url: str, name: str) -> int:
    """The id of a new study, or of one that was never begun."""
    study_id = find(connection, name)
    if study_id is None:
        inserted = connection.execute(insert(_STUDIES), {"study_name": name})
        assert inserted.inserted_primary_key is not None
        made: int = inserted.inserted_primary_key[0]
        return made
    if was_begun(connection, study_id):
        raise DatabaseError(f"{shown(url)} holds a study of the name {name} already.")
    connection.execute(delete(_DIRECTIONS).where(_DIRECTIONS.c.study_id == study_id))
    return study_id


def _remove_orphans(connection: Connection) -> None:
    """Remove our rows of trials that other tools have deleted; ids are used again."""
    for table in tables.OURS:
        connection.execute(
            delete(table).where(table.c.trial_id.not_in(select(_TRIALS.c.trial_id)))
        )


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
