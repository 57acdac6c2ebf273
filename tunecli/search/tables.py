"""The tables of a study database: Optuna's, and three of our own beside them.

Optuna's hold what any Optuna tool reads: trials with state, parameters, values and the mean curve
(`trial_intermediate_values`: step = evaluation, value = mean score over folds). A `diverged` or
`infeasible` trial is PRUNED there, a `failed` one FAIL. Ours, joined by `trial_id`, hold the rest.

Study user attributes (JSON): `tunecli:format` (1), `tunecli:study_file` (the text as written),
`tunecli:file` (its name), `tunecli:overrides` (list of `path=value`), `tunecli:resolved` (YAML
with every default), `tunecli:summary` (DataSummary as a mapping), `tunecli:objective`
({"metric", "direction"}), `tunecli:environment` (versions, device, CPU), `tunecli:edits` (list of
{"first_trial", "changes", "study_file", "overrides"}).
"""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

Table("trials", metadata, Column("trial_id", Integer, primary_key=True))  # Optuna's, for the keys

trials = Table(
    "tunecli_trials",
    metadata,
    Column("trial_id", Integer, ForeignKey("trials.trial_id"), primary_key=True),
    Column("config", Text, nullable=False),  # TrialConfig as JSON
    Column("attempt", Integer, nullable=False),
    Column("worker", Integer),
    Column("outcome", Text),  # complete, pruned, diverged, infeasible, failed; NULL while it runs
    Column("reason", Text),
    Column("traceback", Text),
    Column("best_step", Integer),
    Column("fold_scores", Text),  # JSON list, one a fold, at best_step
    Column("metrics", Text),  # JSON mapping, means over folds at best_step
    Column("seconds", Float),
    Column("n_weights", Integer),
    Column("peak_memory", Integer),  # bytes
)

curves = Table(
    "tunecli_curves",
    metadata,
    Column("trial_id", Integer, ForeignKey("trials.trial_id"), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("fold", Integer, primary_key=True),
    Column("epoch", Float, nullable=False),
    Column("train_loss", Float),  # NULL: not finite
    Column("score", Float),  # NULL: not finite
    Column("lr", Float, nullable=False),
    Column("metrics", Text, nullable=False),  # JSON mapping
)

predictions = Table(
    "tunecli_predictions",
    metadata,
    Column("trial_id", Integer, ForeignKey("trials.trial_id"), primary_key=True),
    Column("npz", LargeBinary, nullable=False),  # see TrialResult.predictions
)
