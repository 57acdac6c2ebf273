"""The SQL of the report: Optuna's tables and ours, read only, one query a table.

Optuna itself needs seconds to load what a few plain queries give in a fraction of one. A SQLite
file is opened read-only, so that a report never disturbs a search.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Connection,
    DateTime,
    Engine,
    Float,
    Integer,
    Row,
    Text,
    TextClause,
    create_engine,
    inspect,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tunecli.errors import DatabaseError, StudyNotFoundError
from tunecli.search.cells import checked, refuse_nonsense
from tunecli.search.place import TRASH
from tunecli.search.sqlite_files import (
    WAYS_OUT,
    in_one_line,
    open_read_only,
    refuse_other_file,
)
from tunecli.search.urls import masked, shown, sqlite_file

STUDIES = text(
    "SELECT study_id, study_name FROM studies"
    f" WHERE study_name NOT LIKE '{TRASH}/%' ORDER BY study_id"
)
"""All but those that were put away."""

DIRECTIONS = text(
    "SELECT direction FROM study_directions WHERE study_id = :study ORDER BY objective"
)

ATTRIBUTES = text(
    "SELECT key, value_json FROM study_user_attributes WHERE study_id = :study"
).columns(key=Text, value_json=Text)

TRIALS = text(
    "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials"
    " WHERE study_id = :study ORDER BY number"
).columns(
    trial_id=Integer,
    number=Integer,
    state=Text,
    datetime_start=DateTime,
    datetime_complete=DateTime,
)

PARAMS = text(
    "SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json FROM trial_params p"
    " JOIN trials t ON t.trial_id = p.trial_id WHERE t.study_id = :study ORDER BY p.param_id"
)

VALUES = text(
    "SELECT v.trial_id, v.value, v.value_type FROM trial_values v"
    " JOIN trials t ON t.trial_id = v.trial_id WHERE t.study_id = :study"
    " ORDER BY v.trial_id, v.objective"
).columns(trial_id=Integer, value=Float, value_type=Text)

DETAILS = text(
    "SELECT d.trial_id, d.config, d.attempt, d.worker, d.outcome, d.reason, d.traceback,"
    " d.best_step, d.fold_scores, d.metrics, d.seconds, d.n_weights, d.peak_memory"
    " FROM tunecli_trials d JOIN trials t ON t.trial_id = d.trial_id WHERE t.study_id = :study"
)

MEAN_CURVES = text(
    "SELECT i.trial_id, i.step, i.intermediate_value, i.intermediate_value_type"
    " FROM trial_intermediate_values i JOIN trials t ON t.trial_id = i.trial_id"
    " WHERE t.study_id = :study AND (:trial IS NULL OR i.trial_id = :trial)"
    " ORDER BY i.trial_id, i.step"
)

FOLD_CURVES = text(
    "SELECT c.trial_id, c.step, c.fold, c.epoch, c.train_loss, c.score, c.lr, c.metrics"
    " FROM tunecli_curves c JOIN trials t ON t.trial_id = c.trial_id"
    " WHERE t.study_id = :study AND (:trial IS NULL OR c.trial_id = :trial)"
    " ORDER BY c.trial_id, c.fold, c.step"
)

MEAN_LOSSES = text(
    "SELECT c.trial_id, c.step,"
    " CASE WHEN COUNT(*) = COUNT(c.train_loss) THEN AVG(c.train_loss) END AS train_loss"
    " FROM tunecli_curves c JOIN trials t ON t.trial_id = c.trial_id WHERE t.study_id = :study"
    " GROUP BY c.trial_id, c.step ORDER BY c.trial_id, c.step"
)
"""NULL where a fold's loss was not finite."""


@contextmanager
def connection(url: str) -> Iterator[Connection]:
    """A read-only connection to a study database.

    Raises:
        StudyNotFoundError: there is no such SQLite file.
        DatabaseError: the database is damaged, foreign, locked, or its URL is wrong. What the body
            of the `with` statement cannot make sense of counts as damage.
    """
    try:
        engine = _engine(url)
        try:
            with refuse_nonsense(url), engine.connect() as opened:
                yield opened
        finally:
            engine.dispose()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise DatabaseError(
            f"Cannot open the study database: {masked(str(error), url)}"
        ) from error
    except SQLAlchemyError as error:
        cause = masked(_cause(error), url)
        raise DatabaseError(f"Cannot read {shown(url)}: {cause}") from error


def tables(opened: Connection) -> frozenset[str]:
    """Names of the tables that exist."""
    return frozenset(inspect(opened).get_table_names())


def rows(opened: Connection, query: TextClause | Any, **parameters: object) -> Sequence[Row[Any]]:
    """All rows of one query.

    Raises:
        TypeError: a cell holds another kind of value than its column.
    """
    return checked(opened.execute(query, parameters).all())


def number(stored: float | None, kind: str) -> float:
    """Optuna keeps numbers that are not finite as a word beside an empty value."""
    special = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
    return special[kind] if kind in special else finite_or_nan(stored)


def finite_or_nan(stored: float | None) -> float:
    """NULL stands for a number that was not finite."""
    return math.nan if stored is None else float(stored)


def mapping(stored: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(stored)
    if not isinstance(found, dict):
        raise ValueError(f"not a mapping: {stored[:50]!r}")
    return found


def metrics(stored: str) -> dict[str, float]:
    """A JSON object of numbers, null for one that was not finite.

    Raises:
        ValueError, TypeError: it is none.
    """
    return {key: finite_or_nan(value) for key, value in mapping(stored).items()}


def numbers(stored: str) -> tuple[float, ...]:
    """A JSON list of numbers, null for one that was not finite.

    Raises:
        ValueError, TypeError: it is none.
    """
    found = json.loads(stored)
    if not isinstance(found, list):
        raise ValueError(f"not a list: {stored[:50]!r}")
    return tuple(map(finite_or_nan, found))


def _engine(url: str) -> Engine:
    path = sqlite_file(url)
    if path is None:
        return create_engine(make_url(url), poolclass=NullPool)
    if not path.is_file():
        raise StudyNotFoundError(
            f"There is no study database at {path}. `tunecli report` lists the studies."
        )
    refuse_other_file(path)
    return create_engine("sqlite://", creator=lambda: open_read_only(path), poolclass=NullPool)


def _cause(error: SQLAlchemyError) -> str:
    cause = in_one_line(getattr(error, "orig", None) or error)
    if isinstance(error, OperationalError) and "locked" in cause:
        return "another program has locked it. Try again when that has ended."
    if "malformed" in cause or "not a database" in cause:
        return f"{cause}. {WAYS_OUT}"
    return f"{cause}."
