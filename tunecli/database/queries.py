"""The SQL that reads Optuna's tables and ours, one query per table, on a read-only connection.

Optuna itself needs seconds to load what a few plain queries load in a fraction of a second. A
SQLite file is opened read-only, so that a report never disturbs a search.
"""

from __future__ import annotations

import gc
import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    DateTime,
    Engine,
    Float,
    Integer,
    Row,
    Text,
    TextClause,
    bindparam,
    create_engine,
    inspect,
    text,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tunecli.database.server.sessions import reading_engine
from tunecli.database.sqlite_files import WAYS_OUT, in_one_line, open_read_only, refuse_other_file
from tunecli.database.urls import display_url, masked, sqlite_file
from tunecli.database.validate_rows import refuse_nonsense, validated_rows
from tunecli.errors import DatabaseError, StudyNotFoundError
from tunecli.study_file.read.study_name import TRASH
from tunecli.training.outcome.evaluation import TargetScores

STUDIES = text(
    "SELECT study_id, study_name FROM studies"
    f" WHERE study_name NOT LIKE '{TRASH}/%' ORDER BY study_id"
)
"""All studies except those in the trash."""

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


def _of_trials(columns: str, table: str, order: str, more: str = "") -> TextClause:
    """Select from a table `x` the rows of a study's trials; `more` is added to the condition."""
    return text(
        f"SELECT {columns} FROM {table} x JOIN trials t ON t.trial_id = x.trial_id"
        f" WHERE t.study_id = :study {more} ORDER BY {order}"
    )


_BETWEEN = "AND x.trial_id BETWEEN :first AND :last"

PARAMS = _of_trials(
    "x.trial_id, x.param_name, x.param_value, x.distribution_json", "trial_params", "x.param_id"
)

VALUES = _of_trials(
    "x.trial_id, x.value, x.value_type", "trial_values", "x.trial_id, x.objective"
).columns(trial_id=Integer, value=Float, value_type=Text)

DETAILS = _of_trials("x.*", "tunecli_trials", "x.trial_id")

_AMONG = "AND x.trial_id IN :trials"
_TRIALS: BindParameter[Any] = bindparam("trials", expanding=True)


def _mean_curves(condition: str) -> TextClause:
    columns = "x.trial_id, x.step, x.intermediate_value, x.intermediate_value_type"
    return _of_trials(columns, "trial_intermediate_values", "x.trial_id, x.step", condition)


MEAN_CURVES = _mean_curves(_BETWEEN)
MEAN_CURVES_OF = _mean_curves(_AMONG).bindparams(_TRIALS)

FOLD_CURVES = _of_trials("x.*", "tunecli_curves", "x.trial_id, x.fold, x.step", _BETWEEN)

FOLD_SCORES = _of_trials(
    "x.trial_id, x.fold, x.score", "tunecli_curves", "x.trial_id, x.fold, x.step"
)

TARGET_SCORES = _of_trials(
    "x.trial_id, x.of_targets", "tunecli_out_of_fold", "x.trial_id", _BETWEEN
)

PREDICTIONS = _of_trials("x.npz", "tunecli_predictions", "x.trial_id", _BETWEEN)


def _mean_losses(condition: str) -> TextClause:
    return _of_trials(
        "x.trial_id, x.step,"
        " CASE WHEN COUNT(*) = COUNT(x.train_loss) THEN AVG(x.train_loss) END AS train_loss",
        "tunecli_curves",
        "x.trial_id, x.step",
        f"{condition} GROUP BY x.trial_id, x.step",
    )


MEAN_LOSSES = _mean_losses(_BETWEEN)
MEAN_LOSSES_OF = _mean_losses(_AMONG).bindparams(_TRIALS)
"""NULL where a fold's loss was not finite."""


@contextmanager
def connection(url: str) -> Iterator[Connection]:
    """Open a read-only connection to a study database, while Python collects no garbage.

    Rows become records that stay: to search hundreds of thousands of them for cycles again and
    again would take as long as reading them.

    Raises:
        StudyNotFoundError: there is no such SQLite file.
        DatabaseError: the database is damaged, foreign, locked, or its URL is wrong. A value that
            the body of the `with` statement cannot interpret counts as damage.
    """
    try:
        engine = _engine(url)
        try:
            with refuse_nonsense(url), engine.connect() as opened, _uncollected():
                yield opened
        finally:
            engine.dispose()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise DatabaseError(
            f"Cannot open the study database: {masked(str(error), url)}"
        ) from error
    except SQLAlchemyError as error:
        cause = masked(_cause(error), url)
        raise DatabaseError(f"Cannot read {display_url(url)}: {cause}") from error


@contextmanager
def _uncollected() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def between(trial_ids: Collection[int] | None) -> dict[str, int]:
    """Return the parameters of a query that select these trials, and those between; None: all."""
    if trial_ids is None:
        return {"first": 0, "last": 2**31 - 1}
    return {"first": min(trial_ids), "last": max(trial_ids)}


def existing_tables(opened: Connection) -> frozenset[str]:
    """Return the names of the tables that exist."""
    return frozenset(inspect(opened).get_table_names())


def rows(opened: Connection, query: TextClause | Any, **parameters: object) -> Sequence[Row[Any]]:
    """Return all rows of one query.

    Raises:
        TypeError: a value has another type than its column.
    """
    return validated_rows(opened.execute(query, parameters).all())


def rows_of_ours(
    opened: Connection, table: str, query: TextClause, **parameters: object
) -> Sequence[Row[Any]]:
    """Return all rows of a query on a table of tunecli; none in a database without the table."""
    return rows(opened, query, **parameters) if table in existing_tables(opened) else []


def columns(rows: Sequence[Row[Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the columns of rows by name; without rows, none."""
    return dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True)) if rows else {}


def stored_predictions(url: str, study_id: int, trial_id: int) -> bytes | None:
    """Return a trial's out-of-fold predictions as they are stored; None without any."""
    with connection(url) as opened:
        keys = {"study": study_id, **between([trial_id])}
        stored = rows_of_ours(opened, "tunecli_predictions", PREDICTIONS, **keys)
    return stored[0].npz if stored else None


def stored_target_scores(
    url: str, study_id: int, trial_ids: Sequence[int]
) -> dict[int, TargetScores]:
    """Return the scores of each of several targets by `trial_id`.

    Trials between them may be among those returned.
    """
    with connection(url) as opened:
        keys = {"study": study_id, **between(trial_ids)}
        stored = rows_of_ours(opened, "tunecli_out_of_fold", TARGET_SCORES, **keys)
        return {row.trial_id: _target_scores(row.of_targets) for row in stored}


def _target_scores(stored: str) -> TargetScores:
    """Return a stored JSON object of objects of numbers.

    Raises:
        ValueError, TypeError, AttributeError: it is not such an object.
    """
    return {
        name: {metric: finite_or_nan(value) for metric, value in scores.items()}
        for name, scores in mapping(stored).items()
    }


def by_trial(rows: Iterable[Row[Any]]) -> defaultdict[int, list[Row[Any]]]:
    """Return the rows of each trial in their order, by `trial_id`; quick if they are sorted."""
    trials = defaultdict[int, list[Row[Any]]](list)
    for trial_id, of_trial in groupby(rows, attrgetter("trial_id")):
        trials[trial_id] += of_trial
    return trials


def stored_float(stored: float | None, kind: str) -> float:
    """Return a stored number; Optuna stores one that is not finite as a word and NULL.

    Raises:
        LookupError: Optuna has no such word.
    """
    return finite_or_nan(stored) if kind == "FINITE" else _NOT_FINITE[kind]


_NOT_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


def finite_or_nan(stored: float | None) -> float:
    """Return a stored number, or NaN for NULL, which means that it was not finite."""
    return math.nan if stored is None else float(stored)


def mapping(stored: str) -> dict[str, Any]:
    """Return a stored JSON object.

    Raises:
        ValueError: it is not a JSON object.
    """
    value = json.loads(stored)
    if not isinstance(value, dict):
        raise ValueError(f"not a mapping: {stored[:50]!r}")
    return value


def all_metric_rows(stored: Sequence[str]) -> tuple[dict[str, float], ...]:
    """Return many JSON objects of numbers, as `metric_rows` does, in a fraction of its time.

    Raises:
        ValueError, TypeError: one of them is not such an object.
    """
    values = _all_of(dict, stored)
    if values is None:
        return tuple(map(metric_rows, stored))
    if set(map(type, chain.from_iterable(map(dict.values, values)))) <= {float}:
        return tuple(values)
    return tuple({key: finite_or_nan(number) for key, number in value.items()} for value in values)


def all_mappings(stored: Sequence[str]) -> Sequence[dict[str, Any]]:
    """Return many JSON objects, as `mapping` does, in a fraction of its time.

    Raises:
        ValueError: one of them is not a JSON object.
    """
    values = _all_of(dict, stored)
    return [*map(mapping, stored)] if values is None else values


def all_floats(stored: Sequence[str]) -> Sequence[tuple[float, ...]]:
    """Return many JSON lists of numbers, as `stored_floats` does, in a fraction of its time.

    Raises:
        ValueError, TypeError: one of them is not such a list.
    """
    values = _all_of(list, stored)
    if values is None:
        return [*map(stored_floats, stored)]
    return [tuple(map(finite_or_nan, value)) for value in values]


def _all_of(kind: type, stored: Sequence[str]) -> list[Any] | None:
    """Return many JSON texts of one kind, parsed at once; None if one must be found invalid."""
    try:
        values = json.loads(f"[{','.join(stored)}]")
    except ValueError:
        return None
    is_sound = len(values) == len(stored) and set(map(type, values)) <= {kind}
    return values if is_sound else None


def metric_rows(stored: str) -> dict[str, float]:
    """Return a stored JSON object of numbers, where null was not finite.

    Raises:
        ValueError, TypeError: it is not such an object.
    """
    return {key: finite_or_nan(value) for key, value in mapping(stored).items()}


def stored_floats(stored: str) -> tuple[float, ...]:
    """Return a stored JSON list of numbers, where null was not finite.

    Raises:
        ValueError, TypeError: it is not such a list.
    """
    values = json.loads(stored)
    if not isinstance(values, list):
        raise ValueError(f"not a list: {stored[:50]!r}")
    return tuple(map(finite_or_nan, values))


def _engine(url: str) -> Engine:
    path = sqlite_file(url)
    if path is None:
        return reading_engine(url)
    if not path.is_file():
        raise StudyNotFoundError(
            f"There is no study database at {path}. `tunecli report` lists all studies."
        )
    refuse_other_file(path)
    return create_engine("sqlite://", creator=lambda: open_read_only(path), poolclass=NullPool)


def _cause(error: SQLAlchemyError) -> str:
    cause = in_one_line(getattr(error, "orig", None) or error)
    if isinstance(error, OperationalError) and "locked" in cause:
        return "another program has locked it. Try again when that program has finished."
    if "malformed" in cause or "not a database" in cause:
        return f"{cause}. {WAYS_OUT}"
    return f"{cause}."
