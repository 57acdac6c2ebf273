"""A study as plain values: the one reader of a study database.

It is read by SQL without Optuna, so that thousands of trials load at once. A study of another
Optuna program is read as far as possible: trials, parameters, values, mean curves.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any, Literal, get_args

from pydantic import ValidationError
from sqlalchemy import Connection, Row

from tunecli.database import queries
from tunecli.database.attributes import (
    FORMAT,
    RecordedObjective,
    StoredAttributes,
    StudyAttributes,
    validated_attributes,
)
from tunecli.database.curves import Curve, MeanCurves, read_curves
from tunecli.database.trial_details import trial_details
from tunecli.database.urls import display_url
from tunecli.errors import DatabaseError, StudyFileError, StudyNotFoundError
from tunecli.study_file.settings.metric_names import titles
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range, is_gate
from tunecli.study_file.settings.settings import Direction, TrialConfig
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Outcome, TargetScores, ended_untrained

State = Literal["running", "complete", "pruned", "fail", "waiting"]

_OUTCOMES: dict[State, Outcome] = {"complete": "complete", "pruned": "pruned", "fail": "failed"}


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the database has it.

    Attributes:
        trial_id: the database's key.
        state: Optuna's state; a running trial may have been interrupted.
        outcome: None while it runs or waits.
        params: values in the order of the study file.
        ranges: what each parameter was suggested from.
        value: value of the first objective, if any: mean over folds at `best_step` (at the last
            evaluation of a pruned trial).
        values: values of all objectives; empty unless complete.
        fold_scores: one per fold that took part, at `best_step`; empty if unknown.
        metrics: the other metrics at `best_step`, means over folds.
        start, end: UTC.
        peak_memory: bytes.
        config: the resolved configuration (TrialConfig as a mapping); None in a study of another
            program.
    """

    trial_id: int
    number: int
    state: State
    outcome: Outcome | None = None
    reason: str = ""
    traceback: str = ""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    value: float | None = None
    values: tuple[float, ...] = ()
    fold_scores: tuple[float, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    best_step: int | None = None
    seconds: float | None = None
    n_weights: int | None = None
    peak_memory: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    attempt: int | None = None
    worker: int | None = None
    config: Mapping[str, Any] | None = None

    @property
    def is_untrained(self) -> bool:
        """Whether the trial broke a limit on its model alone."""
        return ended_untrained(self.outcome, self.fold_scores)

    @property
    def spread(self) -> float | None:
        """Standard deviation over folds (divisor n - 1); None if unknown, or with one fold."""
        return statistics.stdev(self.fold_scores) if self.has_spread else None

    @property
    def has_spread(self) -> bool:
        """Whether the trial has finite scores on at least two folds."""
        return len(self.fold_scores) > 1 and all(map(math.isfinite, self.fold_scores))


@dataclass(frozen=True)
class StudyRecord(StudyAttributes):
    """One study with its attributes; its curves are read on demand.

    Attributes:
        url: URL of the database.
        metric, direction: the (first) objective; `value` in a study of another program.
        trials: all trials, by number.
        further_objectives: the other objectives.
    """

    url: str = field(repr=False)  # with its password
    study_id: int
    name: str
    metric: str
    direction: Direction
    trials: tuple[TrialRecord, ...] = ()
    further_objectives: tuple[RecordedObjective, ...] = ()

    @property
    def objectives(self) -> tuple[RecordedObjective, ...]:
        """All objectives, the first one first."""
        return (RecordedObjective(self.metric, self.direction), *self.further_objectives)

    @property
    def n_charged(self) -> int:
        """Number of trials that count against the number of trials of a search."""
        return sum(map(self.charges, self.trials))

    def charges(self, trial: TrialRecord) -> bool:
        """Return whether a trial counts against the number of trials of a search."""
        return not (self.spares_untrained and trial.is_untrained)

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """What people read instead of a metric's name, with its average: `f1 of 'yes'`."""
        if self.metric_titles is not None:
            return self.metric_titles
        return titles(self.first_config) if self.first_config is not None else {}

    @cached_property
    def first_config(self) -> TrialConfig | None:
        """The configuration of the first trial that has one; None in other programs' studies."""
        config = next((trial.config for trial in self.trials if trial.config), None)
        try:
            return TrialConfig.model_validate_json(json.dumps(config))
        except ValidationError:
            return None

    def titled(self, metric: str) -> str:
        """Return what people read instead of a metric's name."""
        return self.titles.get(metric, metric)

    @property
    def title(self) -> str:
        """The (first) objective for people."""
        return self.titled(self.metric)

    @cached_property
    def gates(self) -> Mapping[str, Scalar]:
        """What `or:` puts in place of a range, by the range's name; empty if unknown."""
        params = (trial.params.items() for trial in self.trials)
        text, overrides = self.newest
        if not text or not any(is_gate(name, value) for items in params for name, value in items):
            return {}
        from tunecli.study_file.study_file import StudyFile

        try:
            return StudyFile.from_text(text, self.file, overrides).gates
        except (StudyFileError, ValueError, TypeError):  # of a version with other study files
            return {}

    def trial(self, number: int) -> TrialRecord:
        """Return the trial of that number.

        Raises:
            StudyNotFoundError: there is no such trial.
        """
        for trial in self.trials:
            if trial.number == number:
                return trial
        known = f"Its trials are 0 to {self.trials[-1].number}" if self.trials else "It has none"
        raise StudyNotFoundError(f"Study `{self.name}` has no trial {number}. {known}.")

    def curve(self, trial: TrialRecord) -> Curve:
        """Return the mean curve and the fold curves of one trial."""
        return self.curves([trial]).get(trial.trial_id, Curve())

    def predictions(self, trial: TrialRecord) -> bytes | None:
        """Return a trial's out-of-fold predictions, see `TrialResult`; the best have some."""
        return queries.stored_predictions(self.url, self.study_id, trial.trial_id)

    def target_scores(self, trials: Sequence[TrialRecord]) -> Mapping[int, TargetScores]:
        """Return the scores of each of several targets by `trial_id`; see `TrialResult`."""
        ids = [trial.trial_id for trial in trials]
        return queries.stored_target_scores(self.url, self.study_id, ids)

    def curves(self, trials: Sequence[TrialRecord] | None = None) -> dict[int, Curve]:
        """Return the curves of these trials, or of all, that have one, by `trial_id`."""
        ids = None if trials is None else [trial.trial_id for trial in trials]
        return read_curves(self.url, self.study_id, ids)

    def mean_curves(self, needed: Sequence[TrialRecord]) -> Mapping[int, Curve]:
        """Return the mean curves without folds, in a fraction of the time of `curves`.

        Args:
            needed: trials whose curves are read now; the others are read when one is asked for.
        """
        return MeanCurves(self.url, self.study_id, [trial.trial_id for trial in needed])


def read_study(url: str, name: str | None = None) -> StudyRecord:
    """Read one study; without a name, the only one of the database.

    Raises:
        StudyNotFoundError: there is no such database or study, or `name` is needed.
        DatabaseError: the database is damaged, foreign or locked, or the study has no objective.
    """
    with queries.connection(url) as opened:
        if "studies" not in queries.existing_tables(opened):
            raise DatabaseError(f"{display_url(url)} is not an Optuna study database.")
        study_id, name = _find(opened, display_url(url), name)
        attributes = _attributes(opened, study_id, name)
        first, *further = _objectives(opened, study_id, name, attributes)
        return StudyRecord(
            url,
            study_id,
            name,
            first.metric,
            first.direction,
            read_trials(opened, study_id),
            tuple(further),
            **{field.name: getattr(attributes, field.name) for field in fields(StudyAttributes)},
        )


def newest_overrides(url: str, name: str) -> tuple[str, ...]:
    """Return the `path=value` overrides that a study used last; empty if there is no study.

    Raises:
        DatabaseError: the database cannot be read, or a newer version of tunecli wrote the study.
    """
    try:
        with queries.connection(url) as opened:
            if "studies" not in queries.existing_tables(opened):
                return ()  # a new database on a server
            study_id, _ = _find(opened, display_url(url), name)
            return _attributes(opened, study_id, name).newest[1]
    except StudyNotFoundError:
        return ()


def attribute_texts(opened: Connection, study_id: int) -> dict[str, str]:
    """Return tunecli's attributes of a study as JSON; empty if another program made it."""
    return {
        row.key.removeprefix("tunecli:"): row.value_json
        for row in queries.rows(opened, queries.ATTRIBUTES, study=study_id)
        if row.key.startswith("tunecli:")
    }


def _attributes(opened: Connection, study_id: int, name: str) -> StoredAttributes:
    """Read the attributes of a study.

    Raises:
        DatabaseError: a newer version of tunecli wrote the study.
        ValueError: the attributes are damaged.
    """
    values = {key: json.loads(text) for key, text in attribute_texts(opened, study_id).items()}
    stored = values.get("format", FORMAT)
    if stored > FORMAT:
        raise DatabaseError(
            f"Study `{name}` was written by a newer version of tunecli (format {stored}; this "
            f"version reads up to format {FORMAT}). Update tunecli to read it."
        )
    return validated_attributes(values)


def _find(opened: Connection, database: str, name: str | None) -> tuple[int, str]:
    studies = {row.study_name: row.study_id for row in queries.rows(opened, queries.STUDIES)}
    names = ", ".join(f"`{known}`" for known in studies) or "none"
    if name is None:
        if len(studies) != 1:
            raise StudyNotFoundError(f"Name one of the studies in {database}: {names}.")
        (name,) = studies
    if name not in studies:
        raise StudyNotFoundError(f"There is no study `{name}` in {database}. Studies: {names}.")
    return studies[name], name


def _objectives(
    opened: Connection, study_id: int, name: str, attributes: StoredAttributes
) -> list[RecordedObjective]:
    """Return the objectives: Optuna stores the directions, tunecli the names of its studies."""
    directions = queries.rows(opened, queries.DIRECTIONS, study=study_id)
    if not directions:
        raise DatabaseError(f"Study `{name}` has no objective, so there is nothing to report.")
    names = [one.metric for one in attributes.objectives or (attributes.objective,)]
    if len(names) != len(directions):
        names = [f"value {number}" for number in range(1, len(directions) + 1)]
    return [
        RecordedObjective(metric, "maximize" if row.direction == "MAXIMIZE" else "minimize")
        for metric, row in zip(names, directions, strict=True)
    ]


def read_trials(opened: Connection, study_id: int) -> tuple[TrialRecord, ...]:
    """Return all trials of a study by number, running ones included.

    Raises:
        ValueError, TypeError, LookupError: a stored value is invalid.
    """
    params = queries.by_trial(queries.rows(opened, queries.PARAMS, study=study_id))
    values = queries.by_trial(queries.rows(opened, queries.VALUES, study=study_id))
    rows = queries.rows_of_ours(opened, "tunecli_trials", queries.DETAILS, study=study_id)
    details = dict(zip((row.trial_id for row in rows), trial_details(rows), strict=True))
    return tuple(
        _record(row, details.get(row.trial_id), params[row.trial_id], values[row.trial_id])
        for row in queries.rows(opened, queries.TRIALS, study=study_id)
    )


_Rows = Sequence[Row[Any]]


def _record(
    trial: Row[Any], details: dict[str, Any] | None, params: _Rows, values: _Rows
) -> TrialRecord:
    numbers = tuple(queries.stored_float(row.value, row.value_type) for row in values)
    ranges = {p.param_name: _range(p.distribution_json) for p in params}
    return TrialRecord(
        trial_id=trial.trial_id,
        number=trial.number,
        start=_utc(trial.datetime_start),
        end=_utc(trial.datetime_complete),
        params={p.param_name: _decode(p.param_value, ranges[p.param_name]) for p in params},
        ranges=ranges,
        value=next(iter(numbers), None),
        values=numbers if trial.state == "COMPLETE" else (),
        state=_state(trial.state),
        **(_guessed(trial) if details is None else details),
    )


def _state(stored: str) -> Any:
    if stored.lower() not in get_args(State):
        raise ValueError(f"unknown trial state {stored!r}")
    return stored.lower()


def _guessed(trial: Row[Any]) -> dict[str, Any]:
    """Return what is known of a trial of another program, as keyword arguments of TrialRecord."""
    start, end = trial.datetime_start, trial.datetime_complete
    seconds = (end - start).total_seconds() if start and end else None
    return {"outcome": _OUTCOMES.get(_state(trial.state)), "seconds": seconds}


def _decode(stored: float, kind: Range) -> Scalar:
    """Decode Optuna's storage: a category is the index of its choice, everything else a float."""
    match kind:
        case Categories(choices):
            if stored < 0:
                raise ValueError(f"no choice has the index {stored}")
            return choices[int(stored)]
        case IntRange() if stored == int(stored):
            return int(stored)
        case _:
            return float(stored)


@cache  # the same few texts occur thousands of times
def _range(stored: str) -> Range:
    """Return the range of one of Optuna's distributions, also of those before version 3."""
    distribution = json.loads(stored)
    name, attributes = distribution["name"], distribution["attributes"]
    if name == "CategoricalDistribution":
        choices = tuple(attributes["choices"])
        if not all(isinstance(choice, Scalar) for choice in choices):
            raise TypeError(f"not a list of choices: {choices!r}")
        return Categories(choices)
    low, high = attributes["low"], attributes["high"]
    log = bool(attributes.get("log", "Log" in name))
    step = attributes.get("step", attributes.get("q"))
    if name.startswith("Int"):
        return IntRange(int(low), int(high), log, int(step or 1))
    return FloatRange(float(low), float(high), log, None if step is None else float(step))


def _utc(stored: datetime | None) -> datetime | None:
    return stored.replace(tzinfo=UTC) if stored is not None else None
