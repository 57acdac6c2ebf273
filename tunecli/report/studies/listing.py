"""The studies of a folder or a database; a damaged study in a folder does not hide the others."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, Float, Row, text

from tunecli.database import queries
from tunecli.database.urls import sqlite_url
from tunecli.errors import TunecliError
from tunecli.study_file.settings.settings import Direction

_STATES = text(
    "SELECT state, count(*) AS n FROM trials WHERE study_id = :study GROUP BY state ORDER BY state"
)
_ACTIVITY = text(
    "SELECT max(datetime_start) AS started, max(datetime_complete) AS ended"
    " FROM trials WHERE study_id = :study"
).columns(started=DateTime, ended=DateTime)
_EXTREMES = text(
    "SELECT min(v.value) AS lowest, max(v.value) AS highest FROM trial_values v"
    " JOIN trials t ON t.trial_id = v.trial_id"
    " WHERE t.study_id = :study AND t.state = 'COMPLETE'"
).columns(lowest=Float, highest=Float)
_OBJECTIVE = text(
    "SELECT value_json FROM study_user_attributes"
    " WHERE study_id = :study AND key = 'tunecli:objective'"
)


@dataclass(frozen=True)
class StudyListing:
    """One study of a folder or a database.

    Attributes:
        n_by_state: number of trials by Optuna's state, in lower case.
        best: value of the best complete trial.
        last_activity: UTC; when a trial last started or ended.
        elsewhere: its file, if the folder has another name: then it is a copy.
        error: why the file cannot be read; then everything but the name is empty.
    """

    name: str
    n_by_state: dict[str, int] = field(default_factory=dict)
    metric: str = "value"
    direction: Direction = "minimize"
    best: float | None = None
    last_activity: datetime | None = None
    elsewhere: Path | None = None
    error: str = ""

    @property
    def n_trials(self) -> int:
        """Number of all trials, whatever their outcome."""
        return sum(self.n_by_state.values())


def list_studies(runs: Path) -> list[StudyListing]:
    """Return every study of `runs/<name>/study.db`, by name; an empty list if there is none."""
    files = sorted(path for path in runs.glob("*/study.db") if path.parent.name[0] != ".")
    return [listing for path in files for listing in _listings(path)]


def studies_in(url: str) -> list[StudyListing]:
    """Return every study of one database, by name.

    Raises:
        StudyNotFoundError: there is no such SQLite file.
        DatabaseError: the database cannot be read.
    """
    with queries.connection(url) as opened:
        listings = [_listing(opened, study) for study in queries.rows(opened, queries.STUDIES)]
    return sorted(listings, key=lambda listing: listing.name)


def _listings(path: Path) -> list[StudyListing]:
    try:
        with queries.connection(sqlite_url(path)) as opened:
            studies = queries.rows(opened, queries.STUDIES)
            listings = [_listing(opened, study) for study in studies]
    except TunecliError as error:
        return [StudyListing(path.parent.name, error=str(error))]
    home = path.parent.name
    return [one if one.name == home else replace(one, elsewhere=path) for one in listings]


def _listing(opened: Connection, study: Row[Any]) -> StudyListing:
    def rows(query: Any) -> Any:
        return queries.rows(opened, query, study=study.study_id)

    directions = rows(queries.DIRECTIONS)
    maximize = directions[0].direction == "MAXIMIZE"
    (extremes,) = rows(_EXTREMES)
    (times,) = rows(_ACTIVITY)
    objective: dict[str, str] = next((json.loads(row.value_json) for row in rows(_OBJECTIVE)), {})
    best = (extremes.highest if maximize else extremes.lowest) if len(directions) == 1 else None
    last = max((time for time in times if time is not None), default=None)
    return StudyListing(
        name=study.study_name,
        n_by_state={row.state.lower(): row.n for row in rows(_STATES)},
        metric=objective.get("metric", "value"),
        direction="maximize" if maximize else "minimize",
        best=best,
        last_activity=last.replace(tzinfo=UTC) if last else None,
    )
