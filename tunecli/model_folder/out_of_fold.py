"""Find a trial's out-of-fold predictions: those that were stored, or of the models kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tunecli.data.fold_store import FoldStore
from tunecli.errors import RefitError
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
    models = [model_of(trial, trial.config, store, [member]) for member in members]
    outputs = [
        predicted(model, store, valid_rows)
        for model, (_, valid_rows) in zip(models, store.split.folds, strict=True)
    ]
    return outputs if all(np.isfinite(part).all() for part in outputs) else None
