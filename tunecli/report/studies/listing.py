"""The studies of a folder or a database; a damaged study in a folder does not hide the others."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, Float, Row, text

from tunecli.database import queries
from tunecli.database.records import attribute_texts
from tunecli.database.urls import sqlite_url
from tunecli.errors import TunecliError
from tunecli.study_file.settings.settings import Direction

_STATES = text(
    "SELECT t.state, count(*) AS n, max(t.datetime_start) AS started,"
    " max(t.datetime_complete) AS ended, min(v.value) AS lowest, max(v.value) AS highest"
    " FROM trials t LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0"
    " WHERE t.study_id = :study GROUP BY t.state ORDER BY t.state"
).columns(started=DateTime, ended=DateTime, lowest=Float, highest=Float)


@dataclass(frozen=True)
class StudyListing:
    """One study of a folder or a database.

    Attributes:
        n_by_state: number of trials by Optuna's state, in lower case.
        metric: the objective for people.
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
    """Return every study of `runs/<folder>/study.db`, by folder and name; empty without any."""
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
        listings = studies_in(sqlite_url(path))
    except TunecliError as error:
        return [StudyListing(path.parent.name, error=str(error))]
    home = path.parent.name
    return [one if one.name == home else replace(one, elsewhere=path) for one in listings]


def _listing(opened: Connection, study: Row[Any]) -> StudyListing:
    def rows(query: Any) -> Any:
        return queries.rows(opened, query, study=study.study_id)

    directions = rows(queries.DIRECTIONS)
    maximize = directions[0].direction == "MAXIMIZE"
    states = {row.state: row for row in rows(_STATES)}
    stored = attribute_texts(opened, study.study_id)
    metric = json.loads(stored.get("objective", "{}")).get("metric", "value")
    titles = json.loads(stored.get("metric_titles", "{}"))
    best = None
    if len(directions) == 1 and "COMPLETE" in states:
        best = states["COMPLETE"].highest if maximize else states["COMPLETE"].lowest
    times = (time for row in states.values() for time in (row.started, row.ended))
    last = max((time for time in times if time is not None), default=None)
    return StudyListing(
        name=study.study_name,
        n_by_state={state.lower(): row.n for state, row in states.items()},
        metric=titles.get(metric, metric),
        direction="maximize" if maximize else "minimize",
        best=best,
        last_activity=last.replace(tzinfo=UTC) if last else None,
    )
