"""The study database: one writer, plain Optuna tables, and our own beside them (`tables.py`).

Optuna makes and checks the schema; rows are written by SQLAlchemy Core, one transaction for a
trial's start and one for its end (Optuna's public API takes dozens of commits for the same).
Curves are buffered and written in batches, at the latest with the next end of a trial.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from statistics import fmean
from typing import Any

from optuna.distributions import (
    distribution_to_json,
)
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, Table, case, delete, insert, select, update
from sqlalchemy.sql import ColumnElement

from tunecli.database import creation, schema
from tunecli.database.clock import utc_now
from tunecli.database.engines import clear_errors, exists, open_engine
from tunecli.database.trials import STATES, Trial, read_trials
from tunecli.database.urls import refuse_unusable
from tunecli.database.validate_rows import refuse_nonsense
from tunecli.errors import DatabaseError
from tunecli.study_file.settings.settings import Direction
from tunecli.study_file.settings.units import NOT_DEFINED
from tunecli.training.outcome.evaluation import Evaluation, TrialResult


class StudyDatabase:
    """One study's rows. Only the driver holds one; others read (`report.analysis.records`).

    Every method raises DatabaseError if the database fails; then the transaction is undone.

    Attributes:
        url: of the database.
    """

    def __init__(self, url: str, engine: Engine, study_id: int) -> None:
        self.url = url
        self._engine = engine
        self._study_id = study_id
        self._trial_ids: dict[int, int] = {}
        self._buffer: list[tuple[int, int, Sequence[Evaluation]]] = []

    @classmethod
    def create(
        cls,
        url: str,
        name: str,
        directions: Sequence[Direction],
        attributes: Mapping[str, Any] | None = None,
    ) -> StudyDatabase:
        """Make an empty study, and its database where there is none: whole, or not at all.

        Args:
            directions: of the objectives, in their order.
            attributes: of the study, as for `set_attributes`.
        """
        creation.create(url, name, directions, attributes or {})
        found = cls._find(url, name)
        assert found is not None
        return found

    @classmethod
    def open(cls, url: str, name: str) -> StudyDatabase | None:
        """Open a study, or None if there is none of that name."""
        return cls._find(url, name)

    @classmethod
    def _find(cls, url: str, name: str) -> StudyDatabase | None:
        refuse_unusable(url)
        if not exists(url):
            return None
        engine = open_engine(url)
        with clear_errors(url), engine.begin() as connection:
            study_id = creation.find_study_id(connection, name)
        if study_id is None:
            engine.dispose()
            return None
        return cls(url, engine, study_id)

    @classmethod
    def is_foreign(cls, url: str, name: str) -> bool:
        """Whether there is a study of that name that tunecli did not make."""
        database = cls._find(url, name)
        if database is None:
            return False
        with closing(database), database._transaction() as connection:
            return not creation.is_ours(connection, database._study_id)

    @classmethod
    def put_away(cls, url: str, name: str) -> str | None:
        """Rename a study, so that it is in nobody's way; all of it is kept.

        Returns:
            its new name; None if there is none of that name.
        """
        database = cls._find(url, name)
        if database is None:
            return None
        with closing(database), database._transaction() as connection:
            return creation.rename_to_trash(connection, database._study_id, name)

    def close(self) -> None:
        """Write what is buffered and let go of the database.

        An error of writing is left out where another is under way, which must be heard.
        """
        under_way = sys.exception()
        try:
            self.flush()
        except DatabaseError:
            if under_way is None:
                raise
        finally:
            self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with clear_errors(self.url), self._engine.begin() as connection:
            yield connection

    # --- the study

    def attribute(self, key: str, default: Any = None) -> Any:
        """A user attribute of the study, stored under `tunecli:<key>`."""
        attributes = _table(models.StudyUserAttributeModel)
        query = select(attributes.c.value_json).where(
            attributes.c.study_id == self._study_id, attributes.c.key == f"tunecli:{key}"
        )
        with refuse_nonsense(self.url), self._transaction() as connection:
            text = connection.execute(query).scalar()
            return default if text is None else json.loads(text)

    def set_attributes(self, values: Mapping[str, Any]) -> None:
        """Store user attributes of the study, each under `tunecli:<key>`, in one transaction."""
        attributes = _table(models.StudyUserAttributeModel)
        rows = creation.attribute_rows(self._study_id, values)
        keys = [row["key"] for row in rows]
        with self._transaction() as connection:
            connection.execute(
                delete(attributes).where(
                    attributes.c.study_id == self._study_id, attributes.c.key.in_(keys)
                )
            )
            connection.execute(insert(attributes), rows)

    # --- trials

    def trials(self) -> list[Trial]:
        """All trials by number, the running ones included."""
        with refuse_nonsense(self.url), self._transaction() as connection:
            found = read_trials(connection, self._study_id)
        self._trial_ids = {trial.number: trial_id for trial_id, trial in found}
        return [trial for _, trial in found]

    def start_trial(self, trial: Trial) -> None:
        """Write a new running trial with all its parameters, in one transaction."""
        row = {
            "number": trial.number,
            "study_id": self._study_id,
            "state": TrialState.RUNNING,
            "datetime_start": _now(),
        }
        with self._transaction() as connection:
            inserted = connection.execute(insert(_table(models.TrialModel)), row)
            assert inserted.inserted_primary_key is not None
            trial_id = inserted.inserted_primary_key[0]
            for table in schema.OURS:  # left by a tool that deleted this trial's namesake
                connection.execute(delete(table).where(table.c.trial_id == trial_id))
            params = [
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": distribution.to_internal_repr(trial.params[name]),
                    "distribution_json": distribution_to_json(distribution),
                }
                for name, distribution in trial.distributions.items()
            ]
            _insert(connection, _table(models.TrialParamModel), params)
            connection.execute(
                insert(schema.trials),
                {
                    "trial_id": trial_id,
                    "study_id": self._study_id,
                    "number": trial.number,
                    "config": trial.config.model_dump_json(),
                    "attempt": trial.attempt,
                },
            )
        self._trial_ids[trial.number] = trial_id

    def restart_trial(self, number: int, attempt: int) -> None:
        """Begin another attempt at a running trial: what it had told is told again."""
        trial_id = self._trial_ids[number]
        intermediate = _table(models.TrialIntermediateValueModel)
        with self._transaction() as connection:
            for table in (schema.curves, intermediate):
                connection.execute(delete(table).where(table.c.trial_id == trial_id))
            connection.execute(
                update(schema.trials)
                .where(schema.trials.c.trial_id == trial_id)
                .values(attempt=attempt)
            )
        self._buffer = [entry for entry in self._buffer if entry[0] != number]

    def add_evaluations(self, number: int, step: int, folds: Sequence[Evaluation]) -> None:
        """Remember one evaluation of all folds; `flush` or the next end of a trial writes it."""
        self._buffer.append((number, step, folds))

    def flush(self) -> None:
        """Write the remembered evaluations in one transaction."""
        if self._buffer:
            with self._transaction() as connection:
                self._write_evaluations(connection)
            self._buffer = []

    def finish_trial(
        self,
        number: int,
        result: TrialResult,
        worker: int,
        *,
        values: Sequence[float] | None = None,
        keep_predictions: bool = False,
    ) -> None:
        """Write how a trial ended, its values and all curves still remembered: one transaction.

        Args:
            values: of the objectives, in their order; None for the only one, which `result` has.
            keep_predictions: replace the stored out-of-fold predictions by this trial's.
        """
        trial_id = self._trial_ids[number]
        rows = _table(models.TrialModel)
        with self._transaction() as connection:
            self._write_evaluations(connection)
            connection.execute(
                update(rows)
                .where(rows.c.trial_id == trial_id)
                .values(state=STATES[result.outcome], datetime_complete=_end_of(rows))
            )
            if values is None:
                values = () if result.value is None else (result.value,)
            found = [_value_row(trial_id, i, value) for i, value in enumerate(values)]
            _insert(connection, _table(models.TrialValueModel), found)
            attributes = [
                {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
                for key, value in _shown(result).items()
            ]
            _insert(connection, _table(models.TrialUserAttributeModel), attributes)
            connection.execute(
                update(schema.trials)
                .where(schema.trials.c.trial_id == trial_id)
                .values(worker=worker, **_details(result))
            )
            if keep_predictions and result.predictions is not None:
                mine = select(rows.c.trial_id).where(rows.c.study_id == self._study_id)
                connection.execute(
                    delete(schema.predictions).where(schema.predictions.c.trial_id.in_(mine))
                )
                connection.execute(
                    insert(schema.predictions), {"trial_id": trial_id, "npz": result.predictions}
                )
        self._buffer = []

    # --- rows

    def _write_evaluations(self, connection: Connection) -> None:
        means, curves = [], []
        for number, step, folds in self._buffer:
            trial_id = self._trial_ids[number]
            mean = fmean(evaluation.score for evaluation in folds)
            stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(
                mean
            )
            means.append(
                {
                    "trial_id": trial_id,
                    "step": step,
                    "intermediate_value": stored,
                    "intermediate_value_type": kind,
                }
            )
            curves += [_curve_row(trial_id, fold, told) for fold, told in enumerate(folds)]
        _insert(connection, _table(models.TrialIntermediateValueModel), means)
        _insert(connection, schema.curves, curves)


def _table(model: Any) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _value_row(trial_id: int, objective: int, value: float) -> dict[str, Any]:
    stored, kind = models.TrialValueModel.value_to_stored_repr(value)
    return {"trial_id": trial_id, "objective": objective, "value": stored, "value_type": kind}


def _curve_row(trial_id: int, fold: int, told: Evaluation) -> dict[str, Any]:
    return {
        "trial_id": trial_id,
        "step": told.step,
        "fold": fold,
        "epoch": told.epoch,
        "train_loss": told.train_loss if math.isfinite(told.train_loss) else None,
        "score": told.score if math.isfinite(told.score) else None,
        "lr": told.lr,
        "metrics": json.dumps(told.metrics),
    }


def _shown(result: TrialResult) -> dict[str, Any]:
    """The few user attributes that other Optuna tools show."""
    shown: dict[str, Any] = {"outcome": result.outcome}
    if result.reason:
        shown["reason"] = result.reason
    if result.fold_scores:
        shown["fold_scores"] = result.fold_scores
    metrics = result.metrics.items()
    return shown | {n: value if math.isfinite(value) else NOT_DEFINED for n, value in metrics}


def _details(result: TrialResult) -> dict[str, Any]:
    return {
        "outcome": result.outcome,
        "reason": result.reason,
        "traceback": result.traceback,
        "best_step": result.best_step,
        "fold_scores": json.dumps(result.fold_scores),
        "metrics": json.dumps(result.metrics),
        "seconds": result.seconds,
        "n_weights": result.n_weights,
        "peak_memory": result.peak_memory,
    }


def _end_of(rows: Table) -> ColumnElement[Any]:
    """Now, or the trial's start if that is later: the clock was set back between two calls."""
    now, start = _now(), rows.c.datetime_start
    return case((start > now, start), else_=now)


def _now() -> datetime:
    return utc_now().replace(tzinfo=None)  # Optuna stores naive UTC
