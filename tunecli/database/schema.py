"""The tables of a study database: Optuna's, and three of our own.

Optuna's tables hold what any Optuna tool reads: trials with state, parameters, values and the mean
curve (`trial_intermediate_values`: step = evaluation, value = mean score over folds). They store a
`diverged` or `infeasible` trial as PRUNED, a `failed` one as FAIL. Our tables, joined by
`trial_id`, hold the rest.

Study user attributes (JSON): `tunecli:format` (1), `tunecli:study_file` (the text as written),
`tunecli:file` (its name), `tunecli:overrides` (list of `path=value`), `tunecli:resolved` (YAML
with every default), `tunecli:summary` (DataSummary as a mapping), `tunecli:objective`
({"metric", "direction"}), `tunecli:environment` (versions, numerics, device, CPU),
`tunecli:edits` (list of {"first_trial", "changes", "study_file", "overrides"}),
`tunecli:baselines` (list of Baseline as mappings; added during the first trials).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT

metadata = MetaData()

Table("trials", metadata, Column("trial_id", Integer, primary_key=True))  # for foreign keys

_LONG = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")  # MySQL's TEXT ends at 64 KiB
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
    Column("fold_scores", Text),  # JSON list, one per fold, at best_step
    Column("metrics", Text),  # JSON mapping, means over folds at best_step
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
    Column("train_loss", Double),  # NULL: not finite
    Column("score", Double),  # NULL: not finite
    Column("lr", Double, nullable=False),
    Column("metrics", Text, nullable=False),  # JSON mapping
)

predictions = Table(
    "tunecli_predictions",
    metadata,
    _trial_id(),
    Column("npz", _FILE, nullable=False),  # see TrialResult.predictions
)

OURS = (trials, curves, predictions)
