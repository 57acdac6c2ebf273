"""Train a trial's configuration on all rows outside the test set."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import safetensors
import sklearn
import torch
from torch import Tensor, nn

from tunecli import __version__
from tunecli.data.final_fit import FinalFit, final_fit
from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.features import as_features
from tunecli.errors import RefitError
from tunecli.model_folder.format.manifest import Manifest, MemberManifest
from tunecli.model_folder.format.model import Member, Model
from tunecli.study_file.catalogue.code_hashes import OF_FILES
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.compress_trial import packed_models
from tunecli.training.compression.packing import Packed
from tunecli.training.compression.unpacking import unpack
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.fold_data import takes_integers
from tunecli.training.models import embeds_categories
from tunecli.training.models.embeddings import bin_counts
from tunecli.training.outcome.score_guard import NoScoreError
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.losses import Predictions, n_outputs, standardizes_target
from tunecli.training.step.precision import choose_device


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
    """

    model: Model
    seed: int
    predictions: Predictions | None
    n_rows: int
    validation_rows: int


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
    training = FoldTraining(config, fit.fold, device, _fewest_batches(config, store))
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
    member = Member(
        MemberManifest(
            shape=tuple(as_features(fit.fold.x_train).shape),
            n_outputs=n_outputs(config.loss, fit.fold),
            meaning=training.meaning,
            preprocessing=fit.preprocessing.kind,
            n_bins=bin_counts(network),
            norms=packed.norms if packed is not None else (),
        ),
        fit.preprocessing,
        network,
        packed,
    )
    model = Model(manifest_of(trial, config, store, (member.facts,)), [member], device)
    n_valid = len(fit.fold.valid_rows) if fit.has_validation else 0
    predictions = predicted(model, store, store.split.test_rows)
    return Refitted(model, config.seed, predictions, len(fit.fold.y_train), n_valid)


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


def _fewest_batches(config: TrialConfig, store: FoldStore) -> int:
    """Return the batches per epoch of the smallest fold, which spaces evaluations in a search."""
    size = config.training.batch_size
    return min(len(batch_sizes(len(train), size)) for train, _ in store.split.folds)


def predicted(model: Model, store: FoldStore, rows: Tensor) -> Predictions | None:
    """Return a model's predictions for rows of the data set, in their order; None without rows."""
    if not len(rows):
        return None
    blocks = store.dataset.blocks(rows, model.row_kind.block_rows(model.batch_rows))
    return np.concatenate([model.of_rows(block) for block in blocks])


def manifest_of(
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


def mean_and_spread(values: list[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation (with n - 1); the latter is 0 for one value."""
    mean = math.fsum(values) / len(values)
    rest = math.fsum((value - mean) ** 2 for value in values)
    return mean, math.sqrt(rest / (len(values) - 1)) if len(values) > 1 else 0.0
