"""Find what a trial's fold models predict: as stored by the search, or of the models it kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tunecli.data.fold_store import FoldStore
from tunecli.errors import RefitError, TunecliError
from tunecli.model_folder.adjust.held_out import stored_outputs
from tunecli.model_folder.refitting import RefitTrial, fold_members, model_of, predicted
from tunecli.training.step.losses import Predictions


def out_of_fold(
    trial: RefitTrial, store: FoldStore, archive: bytes | None, models: Path
) -> Sequence[Predictions] | None:
    """Return the predictions of each fold's validation rows at the trial's best evaluation.

    Args:
        archive: what the search stored, see `TrialResult.predictions`; None for nothing.
        models: the folder in which the search may have kept the trial's models.

    Returns:
        None if the search kept neither, or if they cannot be used.
    """
    return stored_outputs(store, archive) or _of_kept_models(trial, store, models)


def _of_kept_models(
    trial: RefitTrial, store: FoldStore, folder: Path
) -> Sequence[Predictions] | None:
    try:
        members = fold_members(trial, store, folder)
    except RefitError:
        return None
    outputs = [
        predicted(model_of(trial, trial.config, store, [member]), store, valid_rows)
        for member, (_, valid_rows) in zip(members, store.split.folds, strict=True)
    ]
    return outputs if all(np.isfinite(part).all() for part in outputs) else None


def of_test_rows(trial: RefitTrial, store: FoldStore, models: Path) -> Sequence[Predictions]:
    """Return what each fold model of the search predicts for the test rows.

    Empty without test rows, and if the search kept no models or they cannot be used: the model of
    all rows is not lost because of them.
    """
    rows = store.split.test_rows
    try:
        members = fold_members(trial, store, models) if len(rows) else []
        return [
            predicted(model_of(trial, trial.config, store, [member]), store, rows)
            for member in members
        ]
    except TunecliError:
        return []
