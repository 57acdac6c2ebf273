"""Write a study to its database: plain Optuna tables, and our own (`schema.py`).

Optuna creates and checks the schema. SQLAlchemy Core writes the rows: one transaction each for
the start and the end of a trial (Optuna's public API takes dozens of commits for the same). Curves
are buffered and written in batches, at the latest when the next trial ends.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, Table, case, delete, func, insert, select, update
from sqlalchemy.sql import ColumnElement

from tunecli.database import creation, schema
from tunecli.database.attributes import StoredAttributes, validated_attributes
from tunecli.database.clock import utc_now
from tunecli.database.curves import Curve, CurveBuffer, fold_scores, mean_scores
from tunecli.database.engines import clear_errors, exists, models, open_engine
from tunecli.database.records import attribute_texts, read_trials
from tunecli.database.server.claims import Claim
from tunecli.database.server.driver_lock import lock_on_connect
from tunecli.database.trials import (
    STATES,
    Trial,
    mean_row,
    parameter_rows,
    refuse_others,
    user_attribute_rows,
    value_row,
)
from tunecli.database.urls import refuse_unusable
from tunecli.database.validate_rows import refuse_nonsense
from tunecli.errors import DatabaseAwayError, DatabaseError
from tunecli.study_file.settings.settings import Direction
from tunecli.training.outcome.evaluation import Evaluation, TrialResult

_ATTRIBUTES = models.StudyUserAttributeModel.__table__
_TRIALS = models.TrialModel.__table__
_MEANS = models.TrialIntermediateValueModel.__table__


class StudyDatabase:
    """One study's rows. Only the driver holds one; others read (`records.py`).

    Every method raises DatabaseError if the database fails; the transaction is then rolled back.
    After a DatabaseAwayError it may also have been committed: the call is repeated until the
    server is back, and writes what is missing.

    Attributes:
        url: URL of the database.
    """

    def __init__(self, url: str, engine: Engine, study_id: int) -> None:
        self.url = url
        self._engine = engine
        self._study_id = study_id
        self._trial_ids: dict[int, int] = {}
        self._buffer = CurveBuffer()
        self._claim: Claim | None = None
        self._is_in_doubt = False  # about the last transaction

    @classmethod
    def create(
        cls,
        url: str,
        name: str,
        directions: Sequence[Direction],
        attributes: Mapping[str, Any] | None = None,
    ) -> StudyDatabase:
        """Create an empty study, and its database if missing: completely, or not at all.

        Args:
            directions: directions of the objectives, in their order.
            attributes: attributes of the study, as for `set_attributes`.
        """
        creation.create(url, name, directions, attributes or {})
        database = cls.open(url, name, is_alone=True)
        assert database is not None
        return database

    @classmethod
    def open(cls, url: str, name: str, *, is_alone: bool = False) -> StudyDatabase | None:
        """Open a study; return None if no study has that name.

        Args:
            is_alone: whether a PostgreSQL server keeps off all others who ask for this until the
                database is closed. A file is locked by the driver itself.

        Raises:
            StudyBusyError: another process has opened the study alone.
        """
        refuse_unusable(url)
        if not exists(url):
            return None
        engine = open_engine(url)
        is_locked = is_alone and lock_on_connect(engine, name, "write")
        with clear_errors(url), engine.begin() as connection:
            study_id = creation.find_study_id(connection, name)
        if study_id is None:
            engine.dispose()
            return None
        database = cls(url, engine, study_id)
        if is_locked:
            database._stake_claim()
        return database

    def _stake_claim(self) -> None:
        claim = Claim(self._study_id)
        with self._transaction() as connection:
            claim.stake(connection)
        self._claim = claim

    @classmethod
    def is_foreign(cls, url: str, name: str) -> bool:
        """Return whether a study of that name exists that tunecli did not create."""
        database = cls.open(url, name)
        if database is None:
            return False
        with closing(database):
            return not database._attribute_texts()

    @classmethod
    def put_away(cls, url: str, name: str) -> str | None:
        """Rename a study to free its name; all of its content is kept.

        Returns:
            The new name; None if no study has that name.
        """
        database = cls.open(url, name, is_alone=True)
        if database is None:
            return None
        with closing(database), database._transaction() as connection:
            return creation.rename_to_trash(connection, database._study_id, name)

    def close(self) -> None:
        """Write the buffered evaluations and close the database.

        While another exception propagates, an error of writing is suppressed in its favour.
        """
        propagating = sys.exception()
        try:
            self.flush()
        except DatabaseError:
            if propagating is None:
                raise
        finally:
            self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with clear_errors(self.url), self._engine.begin() as connection:
                if self._claim is not None:
                    self._claim.confirm(connection)
                yield connection
        except DatabaseAwayError:
            self._is_in_doubt = True
            raise
        self._is_in_doubt = False

    # --- the study

    def attributes(self) -> StoredAttributes:
        """Return all attributes of the study."""
        with refuse_nonsense(self.url):
            texts = self._attribute_texts()
            return validated_attributes({key: json.loads(one) for key, one in texts.items()})

    def attribute(self, key: str, default: Any = None) -> Any:
        """Return one attribute of the study as plain data."""
        stored = self._attribute_texts().get(key)
        with refuse_nonsense(self.url):
            return default if stored is None else json.loads(stored)

    def _attribute_texts(self) -> dict[str, str]:
        with refuse_nonsense(self.url), self._transaction() as connection:
            return attribute_texts(connection, self._study_id)

    def set_attributes(self, values: Mapping[str, Any]) -> None:
        """Store user attributes of the study, each under `tunecli:<key>`, in one transaction."""
        rows = creation.attribute_rows(self._study_id, values)
        mine = _ATTRIBUTES.c.study_id == self._study_id
        with self._transaction() as connection:
            keys = [row["key"] for row in rows]
            connection.execute(delete(_ATTRIBUTES).where(mine, _ATTRIBUTES.c.key.in_(keys)))
            connection.execute(insert(_ATTRIBUTES), rows)

    # --- trials

    def trials(self) -> list[Trial]:
        """Return all trials by number, running ones included."""
        with refuse_nonsense(self.url), self._transaction() as connection:
            records = read_trials(connection, self._study_id)
            refuse_others(records)
            curves = mean_scores(connection, self._study_id)
            self._trial_ids = {record.number: record.trial_id for record in records}
            return [
                Trial.of(record, curves.get(record.trial_id, Curve()).score) for record in records
            ]

    def read_fold_curves(self, trials: Sequence[Trial], n_folds: int) -> None:
        """Add the scores of every fold to trials, and how many of `n_folds` folds never joined."""
        with refuse_nonsense(self.url), self._transaction() as connection:
            curves = fold_scores(connection, self._study_id)
        for trial in trials:
            trial.fold_curves = curves.get(self._trial_ids[trial.number], ())
            if trial.fold_curves:
                trial.n_waiting = n_folds - len(trial.fold_curves)

    def prediction_sizes(self) -> dict[int, int]:
        """Return the bytes of each trial's out-of-fold predictions, by the trial's number.

        Earlier versions stored no size; of their trials, those whose predictions stayed have one.
        """
        kept, known = schema.predictions.c, schema.out_of_fold.c
        size = func.coalesce(known.n_bytes, func.length(kept.npz))
        sizes = (
            select(_TRIALS.c.number, size)
            .outerjoin_from(_TRIALS, schema.out_of_fold, known.trial_id == _TRIALS.c.trial_id)
            .outerjoin(schema.predictions, kept.trial_id == _TRIALS.c.trial_id)
            .where(_TRIALS.c.study_id == self._study_id, size.is_not(None))
        )
        with self._transaction() as connection:
            return {row[0]: row[1] for row in connection.execute(sizes)}

    def start_trial(self, trial: Trial) -> None:
        """Write a new running trial with all its parameters, in one transaction."""
        with self._transaction() as connection:
            trial_id = self._started(connection, trial.number) if self._is_in_doubt else None
            if trial_id is None:
                trial_id = self._insert_trial(connection, trial)
        self._trial_ids[trial.number] = trial_id

    def restart_trial(self, number: int, attempt: int) -> None:
        """Start another attempt at a running trial: its earlier evaluations are deleted."""
        trial_id = self._trial_ids[number]
        with self._transaction() as connection:
            _delete(connection, (schema.curves, _MEANS), trial_id)
            _update(connection, schema.trials, trial_id, attempt=attempt)
        self._buffer.forget(number)

    def add_evaluations(self, number: int, step: int, folds: Sequence[Evaluation]) -> None:
        """Buffer one evaluation of the first folds of a trial, or of all.

        `flush` or the next `finish_trial` writes it. The mean curve begins again when more folds
        have joined; evaluations of a fold that are known are not written again.
        """
        self._buffer.add(number, step, folds)

    def flush(self) -> None:
        """Write the buffered evaluations in one transaction."""
        if not self._buffer.is_empty:
            with self._transaction() as connection:
                if not (self._is_in_doubt and self._has_evaluations(connection)):
                    self._write_evaluations(connection)
            self._buffer.clear()

    def finish_trial(
        self,
        number: int,
        result: TrialResult,
        worker: int,
        *,
        values: Sequence[float] | None = None,
        drop_predictions: Collection[int] = (),
    ) -> None:
        """Write a trial's end, its values and all buffered curves in one transaction.

        Args:
            values: values of the objectives, in their order; None takes the only one from
                `result`.
            drop_predictions: numbers of the trials whose out-of-fold predictions do not stay; with
                its own, this trial's are not stored.
        """
        if values is None:
            values = () if result.value is None else (result.value,)
        with self._transaction() as connection:
            if not (self._is_in_doubt and self._has_ended(connection, number)):
                self._write_evaluations(connection)
                _write_end(connection, self._trial_ids[number], result, worker, values)
                self._write_predictions(connection, number, result, drop_predictions)
        self._buffer.clear()
        self._buffer.forget(number)

    # --- rows

    def _started(self, connection: Connection, number: int) -> int | None:
        """Return the id of a trial, or None if it is not stored."""
        ours = schema.trials.c
        mine = (ours.study_id == self._study_id, ours.number == number)
        trial_id: int | None = connection.execute(select(ours.trial_id).where(*mine)).scalar()
        return trial_id

    def _has_ended(self, connection: Connection, number: int) -> bool:
        mine = schema.trials.c.trial_id == self._trial_ids[number]
        return connection.execute(select(schema.trials.c.outcome).where(mine)).scalar() is not None

    def _has_evaluations(self, connection: Connection) -> bool:
        """Return whether what is buffered is stored: all of it is, or nothing."""
        (number, fold), evaluation = self._buffer.evaluations[-1]
        key = {"trial_id": self._trial_ids[number], "fold": fold, "step": evaluation.step}
        query = select(schema.curves.c.step).filter_by(**key)
        return connection.execute(query).first() is not None

    def _insert_trial(self, connection: Connection, trial: Trial) -> int:
        row = {
            "number": trial.number,
            "study_id": self._study_id,
            "state": TrialState.RUNNING,
            "datetime_start": _now(),
        }
        trial_id = creation.inserted_id(connection, _TRIALS, row)
        _delete(connection, schema.OURS, trial_id)  # of a deleted trial with the same id
        _insert(connection, models.TrialParamModel.__table__, parameter_rows(trial_id, trial))
        details = {
            "trial_id": trial_id,
            "study_id": self._study_id,
            "number": trial.number,
            "config": trial.config.model_dump_json(),
            "attempt": trial.attempt,
        }
        connection.execute(insert(schema.trials), details)
        return trial_id

    def _write_evaluations(self, connection: Connection) -> None:
        ids, buffer = self._trial_ids, self._buffer
        for number in buffer.begun_again:
            _delete(connection, (_MEANS,), ids[number])
        means = [mean_row(ids[n], step, mean) for (n, step), mean in buffer.means.items()]
        curves = [
            {"trial_id": ids[number], "fold": fold, **vars(evaluation)}
            for (number, fold), evaluation in buffer.evaluations
        ]
        _insert(connection, _MEANS, means)
        _insert(connection, schema.curves, curves)

    def _write_predictions(
        self, connection: Connection, number: int, result: TrialResult, gone: Collection[int]
    ) -> None:
        """Store a trial's out-of-fold predictions, unless they are among those that go.

        Their size and the scores of its targets stay in any case.
        """
        kept, npz, trial_id = schema.predictions, result.predictions, self._trial_ids[number]
        _delete(connection, (kept,), *(self._trial_ids[one] for one in gone if one != number))
        if npz is None:
            return
        known = {"trial_id": trial_id, "n_bytes": len(npz), "of_targets": result.of_targets}
        _insert(connection, schema.out_of_fold, [known])
        if number not in gone:
            _insert(connection, kept, [{"trial_id": trial_id, "npz": npz}])


def _write_end(
    connection: Connection,
    trial_id: int,
    result: TrialResult,
    worker: int,
    values: Sequence[float],
) -> None:
    """Write how a trial ended, without its curves and predictions."""
    ended = {"state": STATES[result.outcome], "datetime_complete": _end()}
    _update(connection, _TRIALS, trial_id, **ended)
    value_rows = [value_row(trial_id, i, value) for i, value in enumerate(values)]
    _insert(connection, models.TrialValueModel.__table__, value_rows)
    attributes = user_attribute_rows(trial_id, result)
    _insert(connection, models.TrialUserAttributeModel.__table__, attributes)
    details = {name: value for name, value in vars(result).items() if name in schema.trials.c}
    _update(connection, schema.trials, trial_id, worker=worker, **details)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _update(connection: Connection, table: Table, trial_id: int, **values: Any) -> None:
    connection.execute(update(table).where(table.c.trial_id == trial_id).values(values))


def _delete(connection: Connection, tables: Iterable[Table], *trial_ids: int) -> None:
    for table in tables if trial_ids else ():
        connection.execute(delete(table).where(table.c.trial_id.in_(trial_ids)))


def _end() -> ColumnElement[Any]:
    """Return the later of now and the trial's start: the clock may have been set back between."""
    now, start = _now(), _TRIALS.c.datetime_start
    return case((start > now, start), else_=now)


def _now() -> datetime:
    return utc_now().replace(tzinfo=None)  # Optuna stores naive UTC
