"""The trials of a running search, with Optuna's distributions and complete configurations."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import TrialState

from tunecli.database.engines import models
from tunecli.database.records import TrialRecord
from tunecli.errors import DatabaseError
from tunecli.study_file.settings.fold_stages import stages_of
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.settings.units import NOT_DEFINED
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Outcome, TrialResult, ended_untrained
from tunecli.training.outcome.objectives import objective_values, violations
from tunecli.training.step.timetable import n_evaluations

_MOST_LISTED = 5  # trial numbers in a message

STATES: Mapping[Outcome, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def to_distribution(range_: Range) -> BaseDistribution:
    """Return the Optuna distribution of a range; categories keep their order."""
    match range_:
        case FloatRange(low, high, log, step):
            return FloatDistribution(low, high, log=log, step=step)
        case IntRange(low, high, log, step):
            return IntDistribution(low, high, log=log, step=step)
        case Categories(choices):
            return CategoricalDistribution(choices)


def _lies_in(distribution: BaseDistribution, value: Scalar) -> bool:
    """Return what Optuna itself says, which suggested the value; an int is never 1.5."""
    if isinstance(distribution, IntDistribution) and not isinstance(value, int):
        return False
    return distribution._contains(distribution.to_internal_repr(value))


@dataclass
class Trial:
    """One trial as the database stores it.

    Attributes:
        outcome: None while the trial runs.
        value: value of the first objective: that of a complete trial, or a pruned one's last mean.
        metrics: all other measurements, including the values of further objectives.
        curve: mean score at each evaluation, over the folds that take part.
        fold_scores: scores of these folds at the best evaluation; empty while the trial runs.
        n_waiting: number of folds that have not joined yet, or never did.
        n_before: number of evaluations in earlier stages, of fewer folds, while it runs.
        fold_curves: scores of each fold that took part, at each of its evaluations; empty unless
            they were read.
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
    n_waiting: int = 0
    n_before: int = field(default=0, compare=False)
    fold_curves: Sequence[Sequence[float]] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(cls, record: TrialRecord, curve: Sequence[float]) -> Trial:
        """Return a trial that tunecli made, from its record and its mean curve.

        Raises:
            ValueError: a value lies outside its range, or the configuration is invalid.
        """
        distributions = {name: to_distribution(one) for name, one in record.ranges.items()}
        for name, value in record.params.items():
            if not _lies_in(distributions[name], value):
                raise ValueError(f"{name} of {value} lies outside {record.ranges[name]}")
        is_pruned = record.outcome == "pruned"  # then there may be a curve only
        return cls(
            record.number,
            params=dict(record.params),
            distributions=distributions,
            config=TrialConfig.model_validate_json(json.dumps(record.config)),
            attempt=record.attempt or 1,
            outcome=record.outcome,
            reason=record.reason,
            value=curve[-1] if record.value is None and is_pruned and curve else record.value,
            curve=[*curve],
            fold_scores=record.fold_scores,
            metrics=record.metrics,
            seconds=record.seconds or 0.0,
        )

    @property
    def values(self) -> tuple[float, ...]:
        """Values of the objectives, in their order; empty unless the trial is complete."""
        if self.outcome != "complete" or self.value is None:
            return ()
        return objective_values(self.config, self.value, self.metrics)

    @property
    def is_untrained(self) -> bool:
        """Whether the trial broke a limit on its model alone."""
        return ended_untrained(self.outcome, self.fold_scores)

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
        """Number of evaluations so far, with those that earlier stages of the trial have at most.

        So of two trials that were pruned, the one with more folds got further.
        """
        n_joined = len(self.fold_scores)
        stages = stages_of(self.config, n_joined + self.n_waiting)
        n_earlier = sum(size < n_joined for size in stages)
        return n_earlier * n_evaluations(self.config) + len(self.curve)

    def begin_stage(self, n_waiting: int) -> None:
        """Begin a curve of more folds, of which `n_waiting` have still not joined."""
        self.n_before += len(self.curve)
        self.curve, self.n_waiting = [], n_waiting

    def begin_again(self) -> None:
        """Forget the evaluations so far."""
        self.curve, self.n_waiting, self.n_before = [], 0, 0


def parameter_rows(trial_id: int, trial: Trial) -> list[dict[str, Any]]:
    """Return the parameters of a trial as rows of Optuna's table."""
    return [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": distribution.to_internal_repr(trial.params[name]),
            "distribution_json": distribution_to_json(distribution),
        }
        for name, distribution in trial.distributions.items()
    ]


def user_attribute_rows(trial_id: int, result: TrialResult) -> list[dict[str, Any]]:
    """Return the few user attributes that other Optuna tools show, as rows of Optuna's table."""
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for key, value in _user_attributes(result).items()
    ]


def _user_attributes(result: TrialResult) -> dict[str, Any]:
    attributes: dict[str, Any] = {"outcome": result.outcome}
    if result.reason:
        attributes["reason"] = result.reason
    if result.fold_scores:
        attributes["fold_scores"] = result.fold_scores
    metrics = result.metrics.items()
    return attributes | {n: value if math.isfinite(value) else NOT_DEFINED for n, value in metrics}


def mean_row(trial_id: int, step: int, mean: float) -> dict[str, Any]:
    """Return a mean score of a trial as a row of Optuna's table."""
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(mean)
    return {
        "trial_id": trial_id,
        "step": step,
        "intermediate_value": stored,
        "intermediate_value_type": kind,
    }


def value_row(trial_id: int, objective: int, value: float) -> dict[str, Any]:
    """Return a value of a trial as a row of Optuna's table."""
    stored, kind = models.TrialValueModel.value_to_stored_repr(value)
    return {"trial_id": trial_id, "objective": objective, "value": stored, "value_type": kind}


def refuse_others(records: Sequence[TrialRecord]) -> None:
    """Refuse trials other than 0, 1, 2, … of tunecli: each suggestion depends on those before it.

    Raises:
        DatabaseError: another program has added trials.
        ValueError: a trial is missing.
    """
    others = [record.number for record in records if record.config is None]
    if others:
        raise DatabaseError(
            f"The study holds trials that tunecli did not create ({_listed(others)}), so it "
            "cannot be resumed exactly. Remove them with the program that added them, or start a "
            "new study with --as NAME."
        )
    numbers = [record.number for record in records]
    if numbers != list(range(len(numbers))):
        raise ValueError(f"only {len(set(numbers))} of the trials 0 to {numbers[-1]} exist")


def _listed(numbers: Sequence[int]) -> str:
    first = ", ".join(str(number) for number in numbers[:_MOST_LISTED])
    if len(numbers) > _MOST_LISTED:
        return f"trials {first}, …"
    return f"trial {first}" if len(numbers) == 1 else f"trials {first}"
