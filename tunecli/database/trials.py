"""Read the trials of a study from its database."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from statistics import fmean
from typing import Any, cast

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Row, select

from tunecli.database import schema
from tunecli.database.validate_rows import validated_rows
from tunecli.errors import DatabaseError
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Outcome
from tunecli.training.outcome.objectives import objective_values, violations

_TRIALS = models.TrialModel.__table__
_PARAMS = models.TrialParamModel.__table__
_VALUES = models.TrialValueModel.__table__
_MEANS = models.TrialIntermediateValueModel.__table__

_MOST_LISTED = 5  # trial numbers in a message

Params = dict[int, list[tuple[str, Scalar, BaseDistribution]]]
"""Names, values and distributions of each trial's parameters, by trial id, as suggested."""

STATES: Mapping[Outcome, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass
class Trial:
    """One trial as the database stores it.

    Attributes:
        outcome: None while the trial runs.
        value: value of the first objective: that of a complete trial, or a pruned one's last mean.
        metrics: all other measurements, including the values of further objectives.
        curve: mean score over folds at each evaluation.
        fold_scores: scores of the folds at the best evaluation; empty while the trial runs.
    """

    number: int
    params: dict[str, Scalar]
    distributions: dict[str, BaseDistribution]
    config: TrialConfig
    attempt: int = 1
    outcome: Outcome | None = None
    reason: str = ""
    value: float | None = None
    curve: list[float] = field(default_factory=list)
    fold_scores: tuple[float, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def values(self) -> tuple[float, ...]:
        """Values of the objectives, in their order; empty unless the trial is complete."""
        if self.outcome != "complete" or self.value is None:
            return ()
        return objective_values(self.config, self.value, self.metrics)

    @property
    def violations(self) -> dict[str, float]:
        """Distance beyond each violated limit, by the limit's label."""
        if self.outcome != "infeasible":
            return {}
        score = fmean(self.fold_scores) if self.fold_scores else None
        distances = violations(self.config, score, self.metrics)
        return {name: distance for name, distance in distances.items() if distance > 0}

    @property
    def n_evaluations(self) -> int:
        """Number of evaluations so far."""
        return len(self.curve)


def read_trials(connection: Connection, study_id: int) -> list[tuple[int, Trial]]:
    """Return all trials of a study by number, running ones included, each with its id.

    Raises:
        DatabaseError: another program has added trials.
        ValueError, TypeError, LookupError: a stored value is invalid.
    """
    ours = schema.trials.c
    query = (
        select(
            _TRIALS.c.number,
            _TRIALS.c.trial_id,
            ours.config,
            ours.attempt,
            ours.outcome,
            ours.reason,
            ours.fold_scores,
            ours.metrics,
            ours.seconds,
        )
        .join(schema.trials, ours.trial_id == _TRIALS.c.trial_id)
        .where(_TRIALS.c.study_id == study_id)
        .order_by(_TRIALS.c.number)
    )
    params = _read_params(connection, study_id)
    first_values = _read_first_values(connection, study_id)
    curves = _read_curves(connection, study_id)
    rows = validated_rows(connection.execute(query).all())
    _refuse_others(connection, study_id, [row.number for row in rows])
    return [
        (
            row.trial_id,
            Trial(
                number=row.number,
                params={name: value for name, value, _ in params.get(row.trial_id, [])},
                distributions={name: dist for name, _, dist in params.get(row.trial_id, [])},
                config=TrialConfig.model_validate_json(row.config),
                attempt=row.attempt,
                outcome=_outcome(row.outcome),
                reason=row.reason or "",
                value=_value(row, first_values, curves),
                curve=curves.get(row.trial_id, []),
                fold_scores=tuple(map(float, json.loads(row.fold_scores or "[]"))),
                metrics=_metrics(row.metrics),
                seconds=row.seconds or 0.0,
            ),
        )
        for row in rows
    ]


def _refuse_others(connection: Connection, study_id: int, ours: list[int]) -> None:
    """Refuse numbers other than 0, 1, 2, …: each suggestion depends on the trials before it."""
    query = select(_TRIALS.c.number).where(_TRIALS.c.study_id == study_id)
    others = set(connection.execute(query).scalars()) - set(ours)
    if others:
        raise DatabaseError(
            f"The study holds trials that tunecli did not create ({_listed(others)}), so it "
            "cannot be resumed exactly. Remove them with the program that added them, or start a "
            "new study with --as NAME."
        )
    if ours != list(range(len(ours))):
        raise ValueError(f"only {len(set(ours))} of the trials 0 to {ours[-1]} exist")


def _listed(numbers: set[int]) -> str:
    first = ", ".join(str(number) for number in sorted(numbers)[:_MOST_LISTED])
    if len(numbers) > _MOST_LISTED:
        return f"trials {first}, …"
    return f"trial {first}" if len(numbers) == 1 else f"trials {first}"


def _outcome(stored: str | None) -> Outcome | None:
    if stored is not None and stored not in STATES:
        raise ValueError(f"unknown outcome {stored!r}")
    return cast(Outcome | None, stored)


def _read_params(connection: Connection, study_id: int) -> Params:
    query = (
        select(
            _PARAMS.c.trial_id,
            _PARAMS.c.param_name,
            _PARAMS.c.param_value,
            _PARAMS.c.distribution_json,
        )
        .join(_TRIALS, _TRIALS.c.trial_id == _PARAMS.c.trial_id)
        .where(_TRIALS.c.study_id == study_id)
        .order_by(_PARAMS.c.param_id)
    )
    params: Params = {}
    for trial_id, name, stored, text in validated_rows(connection.execute(query).all()):
        distribution = _distribution(text)
        if not distribution._contains(stored):
            raise ValueError(f"{name} of {stored} lies outside {distribution}")
        value = distribution.to_external_repr(stored)
        params.setdefault(trial_id, []).append((name, value, distribution))
    return params


def _value(
    row: Row[Any], first_values: Mapping[int, float], curves: Mapping[int, list[float]]
) -> float | None:
    """Return the value of the first objective; a pruned trial may have only its curve."""
    value = first_values.get(row.trial_id)
    curve = curves.get(row.trial_id)
    return curve[-1] if value is None and curve and row.outcome == "pruned" else value


def _metrics(stored: str | None) -> dict[str, float]:
    metrics = json.loads(stored or "{}")
    return {str(n): math.nan if value is None else float(value) for n, value in metrics.items()}


def _read_first_values(connection: Connection, study_id: int) -> dict[int, float]:
    query = (
        select(_VALUES.c.trial_id, _VALUES.c.value)
        .join(_TRIALS, _TRIALS.c.trial_id == _VALUES.c.trial_id)
        .where(_TRIALS.c.study_id == study_id, _VALUES.c.objective == 0)
    )
    return {row.trial_id: row.value for row in validated_rows(connection.execute(query).all())}


def _read_curves(connection: Connection, study_id: int) -> dict[int, list[float]]:
    query = (
        select(_MEANS.c.trial_id, _MEANS.c.intermediate_value, _MEANS.c.intermediate_value_type)
        .join(_TRIALS, _TRIALS.c.trial_id == _MEANS.c.trial_id)
        .where(_TRIALS.c.study_id == study_id)
        .order_by(_MEANS.c.trial_id, _MEANS.c.step)
    )
    curves: dict[int, list[float]] = {}
    for trial_id, stored, kind in validated_rows(connection.execute(query).all()):
        value = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value(stored, kind)
        curves.setdefault(trial_id, []).append(value)
    return curves


@cache
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
