"""Average the fold models that a search kept, each with its fold's preprocessing."""

from __future__ import annotations

from pathlib import Path

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.preparation import fit_preprocessing
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.errors import DataError, RefitError
from tunecli.model_folder.format.manifest import MemberManifest
from tunecli.model_folder.format.model import Member, Model
from tunecli.model_folder.refitting import Refitted, RefitTrial, manifest_of, predicted
from tunecli.training.compression.packing import Packed
from tunecli.training.fold import new_model
from tunecli.training.fold_data import folds_of, takes_integers
from tunecli.training.models import embeds_categories
from tunecli.training.models.embeddings import bin_counts
from tunecli.training.saved_models import Kept, load_network, read_models
from tunecli.training.step.losses import build_loss, n_outputs
from tunecli.training.step.precision import choose_device


def as_searched(trial: RefitTrial, store: FoldStore, folder: Path) -> Refitted:
    """Return the mean of a trial's fold models as one model, without training.

    Args:
        folder: the folder in which the search kept them.

    Raises:
        RefitError: the search kept none of this trial, or they are damaged.
    """
    config = trial.config
    try:
        models = read_models(folder, config)
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
    members = [_member(trial, store, fold, one) for fold, one in zip(folds, models, strict=True)]
    device = choose_device(config.training.device)
    facts = manifest_of(trial, config, store, tuple(member.facts for member in members))
    model = Model(facts, members, device)
    predictions = predicted(model, store, store.split.test_rows)
    return Refitted(model, config.seed, predictions, len(store.split.search_rows), 0)


def _member(trial: RefitTrial, store: FoldStore, fold: FoldData, model: Kept) -> Member:
    config = trial.config
    train_rows, _ = store.split.folds[fold.number]
    fitted = fit_preprocessing(
        store.dataset,
        train_rows,
        store.settings,
        config.data.scale,
        embeds_categories(config.model),
        store.workspace.cache,
        integers=takes_integers(config),
    )
    try:
        network = load_network(model, new_model(config, fold))
    except DataError as error:
        raise RefitError(f"trial {trial.number}: {error}") from None
    facts = MemberManifest(
        shape=tuple(as_features(fold.x_train).shape),
        n_outputs=n_outputs(config.loss, fold),
        meaning=build_loss(config.loss, fold).meaning,
        preprocessing=fitted.kind,
        n_bins=bin_counts(network),
        norms=model.norms if isinstance(model, Packed) else (),
    )
    return Member(facts, fitted, network, model if isinstance(model, Packed) else None)
