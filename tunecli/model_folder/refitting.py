"""Train a trial's configuration on all rows outside the test set, or average its fold models."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import sklearn
import torch
from torch import nn

from tunecli import __version__
from tunecli.data.final_fit import FinalFit, final_fit
from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.preparation import Preprocessing, fit_preprocessing
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.errors import DataError, RefitError
from tunecli.model_folder.format.manifest import Manifest, MemberManifest
from tunecli.model_folder.format.model import Member, Model
from tunecli.study_file.catalogue.code_hashes import OF_FILES
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.compression.packing import Packed, unpack
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.fold_data import folds_of, takes_integers
from tunecli.training.models.building import embeds_categories
from tunecli.training.models.embeddings import bin_counts
from tunecli.training.outcome.score_guard import NoScoreError
from tunecli.training.saved_models import Kept, load_network, read_models
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.losses import (
    Predictions,
    build_loss,
    n_outputs,
    standardizes_target,
)
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import packed_models


@dataclass(frozen=True)
class RefitTrial:
    """The trial that becomes a model.

    Attributes:
        best_step: its best evaluation, from 0; training ends there.
        fold_scores: scores of the objective at that evaluation, one per fold.
    """

    study: str
    number: int
    config: TrialConfig
    best_step: int
    fold_scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Refitted:
    """A model, and its predictions for the test rows.

    Attributes:
        seed: the seed of its training.
        predictions: predictions for the test rows, in their order: (n, n_classes) probabilities or
            (n,) values; None without a test set.
        n_rows: number of rows that it was trained on.
        validation_rows: number of rows held out of the training to provide scores during it.
        one_by_one: predictions of each network of an ensemble; empty for a single network.
    """

    model: Model
    seed: int
    predictions: Predictions | None
    n_rows: int
    validation_rows: int
    one_by_one: tuple[Predictions, ...] = ()


def refit_seeds(trial: RefitTrial, store: FoldStore, n_seeds: int = 1) -> Iterator[Refitted]:
    """Train once per seed: with the study's seed and the ones after it.

    Raises:
        RefitError: the trial was trained by user code, before any training; or it diverges.
        DataError: the data cannot be read.
    """
    if trial.config.train is not None:
        raise RefitError(
            f"trial {trial.number} was trained by {trial.config.train.name}, so tunecli cannot "
            "refit it. Save the model in that code."
        )
    return _refits(trial, store, n_seeds)


def _refits(trial: RefitTrial, store: FoldStore, n_seeds: int) -> Iterator[Refitted]:
    config = trial.config
    has_plateaus = config.schedule is not None and config.schedule.name == "ReduceLROnPlateau"
    needs_scores = has_plateaus or bool(config.compression.finetune_epochs)
    fit = final_fit(
        store,
        config.data.scale,
        standardizes_target(config.loss),
        embeds_categories(config.model),
        needs_scores,
        takes_integers(config),
    )
    for number in range(n_seeds):
        seeded = config.model_copy(update={"seed": config.seed + number})
        yield _refit(trial, seeded, store, fit)


def _refit(trial: RefitTrial, config: TrialConfig, store: FoldStore, fit: FinalFit) -> Refitted:
    device = choose_device(config.training.device)
    # The batches per epoch of the smallest fold space the evaluations in a search.
    size = config.training.batch_size
    fewest = min(len(batch_sizes(len(train), size)) for train, _ in store.split.folds)
    training = FoldTraining(config, fit.fold, device, fewest)
    n_evaluations = min(trial.best_step + 1, len(training.timetable.evaluations))
    if fit.has_validation:
        for _ in range(n_evaluations):
            next(training)
    else:
        training.train_unmeasured(n_evaluations)
    network, packed = _network(config, fit, training)
    if not all(weight.isfinite().all() for weight in network.state_dict().values()):
        raise RefitError(
            f"the training with seed {config.seed} diverged: its weights are not finite. Choose "
            "another trial with --trial."
        )
    member = _member(config, fit.fold, fit.preprocessing, network, packed)
    n_valid = len(fit.fold.valid_rows) if fit.has_validation else 0
    return _refitted(trial, config, store, [member], len(fit.fold.y_train), n_valid)


def _network(
    config: TrialConfig, fit: FinalFit, training: FoldTraining
) -> tuple[nn.Module, Packed | None]:
    """Return the trained network, read back from its packed form if the study compresses."""
    if config.compression.is_none:
        return training.best_model(), None
    try:
        packed = packed_models(config, [training])[0]
    except NoScoreError as error:
        raise RefitError(f"the training with seed {config.seed} failed: {error.reason}.") from None
    return unpack(packed, new_model(config, fit.fold)), packed


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
    members = [_fold_member(trial, store, *pair) for pair in zip(folds, models, strict=True)]
    return _refitted(trial, config, store, members, len(store.split.search_rows))


def _fold_member(trial: RefitTrial, store: FoldStore, fold: FoldData, model: Kept) -> Member:
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
    return _member(config, fold, fitted, network, model if isinstance(model, Packed) else None)


def _member(
    config: TrialConfig,
    fold: FoldData,
    preprocessing: Preprocessing,
    network: nn.Module,
    packed: Packed | None,
) -> Member:
    facts = MemberManifest(
        shape=tuple(as_features(fold.x_train).shape),
        n_outputs=n_outputs(config.loss, fold),
        meaning=build_loss(config.loss, fold).meaning,
        preprocessing=preprocessing.kind,
        n_bins=bin_counts(network),
        norms=packed.norms if packed is not None else (),
    )
    return Member(facts, preprocessing, network, packed)


def _refitted(
    trial: RefitTrial,
    config: TrialConfig,
    store: FoldStore,
    members: Sequence[Member],
    n_rows: int,
    validation_rows: int = 0,
) -> Refitted:
    """Return the model of these members with its predictions for the test rows."""
    facts = _manifest(trial, config, store, tuple(member.facts for member in members))
    device = choose_device(config.training.device)
    model = Model(facts, members, device)
    predictions: Predictions | None = None
    one_by_one: tuple[Predictions, ...] = ()
    if len(store.split.test_rows):
        predictions = _on_test(model, store)
        if len(members) > 1:
            one_by_one = tuple(_on_test(Model(facts, [one], device), store) for one in members)
    return Refitted(model, config.seed, predictions, n_rows, validation_rows, one_by_one)


def _on_test(model: Model, store: FoldStore) -> Predictions:
    n_rows = model.row_kind.block_rows(model.batch_rows)
    blocks = store.dataset.blocks(store.split.test_rows, n_rows)
    return np.concatenate([model.of_rows(block) for block in blocks])


def _manifest(
    trial: RefitTrial, config: TrialConfig, store: FoldStore, members: tuple[MemberManifest, ...]
) -> Manifest:
    """Return the content of `model.json` for a model of this trial."""
    dataset = store.dataset
    return Manifest.model_validate(
        {
            "study": trial.study,
            "trial": trial.number,
            "config": config,
            "task": dataset.task,
            "classes": tuple(dataset.classes),
            "columns": dataset.columns,
            "row_shape": tuple(dataset.x.shape[1:]),
            "row_dtype": _row_dtype(dataset.x.dtype, members[0]),
            "depth": dataset.depth,
            "members": members,
            "fingerprint": dataset.fingerprint,
            "code": _code_hash(config, store),
            "versions": versions(),
        }
    )


def _code_hash(config: TrialConfig, store: FoldStore) -> dict[str, str]:
    """Return the hash of the network's user code by its `--code` option; empty for packages."""
    name = CodeName.parse(config.model.name)
    content = (store.workspace.code.hash_of(name) if name else None) or ""
    return {name.to_allow: content} if name and content.startswith(OF_FILES) else {}


def _row_dtype(dtype: torch.dtype, member: MemberManifest) -> str:
    """Return the type of rows to predict; scaled integer columns may then have fractions."""
    if dtype == torch.int64 and member.preprocessing != "integers":
        return "float64"
    return str(dtype).removeprefix("torch.")


def versions() -> dict[str, str]:
    """Return the versions of the packages that train and store a model."""
    return {
        "tunecli": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "safetensors": safetensors.__version__,
    }
