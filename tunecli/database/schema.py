"""The tables of a study database: Optuna's, and four of our own.

Optuna's tables hold what any Optuna tool reads: trials with state, parameters, values and the mean
curve (`trial_intermediate_values`: step = evaluation, value = mean score over folds). They store a
`diverged` or `infeasible` trial as PRUNED, a `failed` one as FAIL. Our tables, joined by
`trial_id`, hold the rest. `attributes.py` describes the attributes of a study.
"""

from __future__ import annotations

import json
import math
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.types import TypeEngine

metadata = MetaData()

_LONG = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")  # MySQL's TEXT ends at 64 KiB


class _Json(TypeDecorator[Any]):
    """A value as JSON."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return _LONG

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return json.dumps(value)


class _IfFinite(TypeDecorator[float]):
    """A number; NULL: not finite."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> float | None:
        return value if math.isfinite(value) else None


Table("trials", metadata, Column("trial_id", Integer, primary_key=True))  # for foreign keys

_FILE = LargeBinary(2**32 - 1)


def _trial_id() -> Column[int]:
    """Return a key to Optuna's trials; if keys are enforced, deleting a trial deletes our rows."""
    key = ForeignKey("trials.trial_id", ondelete="CASCADE")
    return Column("trial_id", Integer, key, primary_key=True, autoincrement=False)


trials = Table(
    "tunecli_trials",
    metadata,
    _trial_id(),
    Column("study_id", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("config", _LONG, nullable=False),  # TrialConfig as JSON
    Column("attempt", Integer, nullable=False),
    Column("worker", Integer),
    Column("outcome", Text),  # complete, pruned, diverged, infeasible, failed; NULL while it runs
    Column("reason", _LONG),
    Column("traceback", _LONG),
    Column("best_step", Integer),
    Column("fold_scores", _Json),  # list, one per fold that took part, at best_step
    Column("metrics", _Json),  # mapping, means over folds at best_step
    Column("seconds", Double),
    Column("n_weights", BigInteger),
    Column("peak_memory", BigInteger),  # bytes
    UniqueConstraint("study_id", "number"),  # makes a second driver fail
)

curves = Table(
    "tunecli_curves",
    metadata,
    _trial_id(),
    Column("step", Integer, primary_key=True),
    Column("fold", Integer, primary_key=True),
    Column("epoch", Double, nullable=False),
    Column("train_loss", _IfFinite),
    Column("score", _IfFinite),
    Column("lr", Double, nullable=False),
    Column("metrics", _Json, nullable=False),
)

predictions = Table(
    "tunecli_predictions",
    metadata,
    _trial_id(),
    Column("npz", _FILE, nullable=False),  # see TrialResult.predictions
)

out_of_fold = Table(
    "tunecli_out_of_fold",  # of every trial that had predictions, whether or not they stay
    metadata,
    _trial_id(),
    Column("n_bytes", BigInteger, nullable=False),  # of the predictions as they were stored
    Column("of_targets", _Json, nullable=False),  # see TrialResult.of_targets
)

OURS = (trials, curves, predictions, out_of_fold)
