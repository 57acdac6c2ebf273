"""The fold models that a search kept of a trial, as one model, and what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.preparation import fit_preprocessing
from tunecli.data.rows.dataset import FoldData
from tunecli.errors import DataError, RefitError, TunecliError
from tunecli.model_folder.adjust.held_out import stored_outputs
from tunecli.model_folder.format.model import Member
from tunecli.model_folder.refitting import (
    Refitted,
    RefitTrial,
    as_refitted,
    member_of,
    model_of,
    predicted,
    refuse_unusable_code,
)
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.compression.packing import Packed
from tunecli.training.fold import new_model
from tunecli.training.fold_data import feature_form, folds_of
from tunecli.training.models.pretrained.quantized_layers import whole_copy
from tunecli.training.saved_models import Kept, load_network, read_models
from tunecli.training.state.trial_files import MODELS_INDEX
from tunecli.training.step.losses import Predictions
from tunecli.training.user_loop.kept_files import kept_folders
from tunecli.training.user_loop.user_network import UserNetwork


def as_searched(trial: RefitTrial, store: FoldStore, folder: Path) -> Refitted:
    """Return the mean of a trial's fold models as one model, without training.

    Args:
        folder: the folder in which the search kept them.

    Raises:
        RefitError: the search kept none of this trial, or they are damaged.
        UserCodeError: user code made them, and it has no `predict`.
    """
    if store.dataset.task == "language_modeling" and len(store.split.folds) > 1:
        raise RefitError(
            "the fold models of a language model cannot be averaged, since each has its own "
            "tokens. Leave out --as-searched."
        )
    members = fold_members(trial, store, folder)
    model = model_of(trial, trial.config, store, members)
    n_rows = len(store.split.search_rows)
    parts = [[one] for one in members] if len(members) > 1 else ()
    return as_refitted(model, trial.config.seed, store, n_rows, parts)


def has_fold_models(folder: Path) -> bool:
    """Return whether a search kept fold models in a folder; they may be damaged."""
    return (folder / MODELS_INDEX).is_file()


def fold_members(trial: RefitTrial, store: FoldStore, folder: Path) -> list[Member]:
    """Return a trial's fold models, without training.

    Args:
        folder: the folder in which the search kept them.

    Raises:
        RefitError: the search kept none of this trial, or they are damaged.
    """
    config = trial.config
    refuse_unusable_code(config)
    try:
        models = _saved(folder, config)
    except DataError as error:
        raise RefitError(
            f"trial {trial.number} has no models to average: {error} A search keeps only the "
            "models of its best trials (search.keep_models). Leave out --as-searched to train "
            "the model instead."
        ) from None
    folds = folds_of(store, config)
    if len(folds) != len(models):
        raise RefitError(
            f"the models in {folder} belong to other folds. Leave out --as-searched to train the "
            "model instead."
        )
    return [_fold_member(trial, store, *pair) for pair in zip(folds, models, strict=True)]


def _saved(folder: Path, config: TrialConfig) -> Sequence[Kept | Path]:
    """Return the models of the folds: weights, or the folders that the user's code saved in."""
    if config.train is not None:
        return kept_folders(folder, config)
    return read_models(folder, config)


def _fold_member(
    trial: RefitTrial, store: FoldStore, fold: FoldData, model: Kept | Path
) -> Member:
    config = trial.config
    train_rows, _ = store.split.folds[fold.number]
    fitted = fit_preprocessing(
        store.dataset,
        train_rows,
        store.settings,
        feature_form(config, store.workspace.folder),
        store.workspace.cache,
    )
    try:
        network = _fold_network(config, fold, model)
    except DataError as error:
        raise RefitError(f"trial {trial.number}: {error}") from None
    return member_of(config, fold, fitted, network, model if isinstance(model, Packed) else None)


def _fold_network(config: TrialConfig, fold: FoldData, model: Kept | Path) -> nn.Module:
    if isinstance(model, Path):
        assert config.train is not None
        return UserNetwork(config.train.name, model, fold.n_classes)
    return whole_copy(load_network(model, new_model(config, fold)))


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
