"""What tunecli's own table adds to the trials of Optuna's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import Row

from tunecli.database import queries
from tunecli.training.outcome.evaluation import Outcome

_NUMBERS = ("best_step", "seconds", "n_weights", "peak_memory", "attempt", "worker")


def trial_details(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Return what the table adds to each trial, as keyword arguments of TrialRecord.

    The JSON of all trials is decoded at once, which takes a fraction of the time.

    Raises:
        ValueError, TypeError: a stored value is invalid.
    """
    if not rows:
        return []
    columns = {
        "fold_scores": queries.all_floats([row.fold_scores or "[]" for row in rows]),
        "metrics": queries.all_metric_rows([row.metrics or "{}" for row in rows]),
        "config": queries.all_mappings([row.config for row in rows]),
        "outcome": [_outcome(row.outcome) for row in rows],
        "reason": [row.reason or "" for row in rows],
        "traceback": [row.traceback or "" for row in rows],
    } | {name: [getattr(row, name) for row in rows] for name in _NUMBERS}
    of_trials = zip(*columns.values(), strict=True)
    return [dict(zip(columns, of_trial, strict=True)) for of_trial in of_trials]


def _outcome(stored: str | None) -> Any:
    if stored is not None and stored not in get_args(Outcome):
        raise ValueError(f"unknown outcome {stored!r}")
    return stored
