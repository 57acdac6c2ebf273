"""From the configuration of a trial to a model: trained on all rows outside the test set."""

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
from tunecli.data.features import as_features
from tunecli.data.final_fit import FinalFit, final_fit
from tunecli.data.fold_store import FoldStore
from tunecli.errors import RefitError
from tunecli.model_folder.facts import MemberFacts, ModelFacts
from tunecli.model_folder.model import Member, Model
from tunecli.study_file.code_hashes import OF_FILES
from tunecli.study_file.settings import TrialConfig
from tunecli.study_file.user_code import CodeName
from tunecli.training.batches import batch_sizes
from tunecli.training.compression.loading import unpack
from tunecli.training.compression.packing import Packed
from tunecli.training.compression.trial import packed_models
from tunecli.training.finite import NoScoreError
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.fold_data import takes_integers
from tunecli.training.losses import Predictions, n_outputs, standardizes_target
from tunecli.training.models import embeds_categories
from tunecli.training.models.embeddings import bin_counts
from tunecli.training.precision import choose_device


@dataclass(frozen=True)
class Trial:
    """What is known of the trial that becomes a model.

    Attributes:
        best_step: its best evaluation, from 0: training goes so far.
        fold_scores: of the objective, there.
    """

    study: str
    number: int
    config: TrialConfig
    best_step: int
    fold_scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Refitted:
    """A model, and what it says of the test rows.

    Attributes:
        seed: that it was trained with.
        predictions: for the test rows, in their order: (n, n_classes) probabilities or (n,)
            values; None without a test set.
        n_rows: that it was trained on.
        validation_rows: that were left out for a schedule's scores.
    """

    model: Model
    seed: int
    predictions: Predictions | None
    n_rows: int
    validation_rows: int


def refit(trial: Trial, store: FoldStore, n_seeds: int = 1) -> Iterator[Refitted]:
    """Train as often as there are seeds: the study's, and those behind it.

    Raises:
        RefitError: the training is one of the user's own, before any training; or it diverges.
        DataError: the data cannot be read.
    """
    if trial.config.train is not None:
        raise RefitError(
            f"trial {trial.number} was trained by {trial.config.train.name}, which keeps its "
            "model to itself: save it there. Only trainings of tunecli can be refitted."
        )
    return _refits(trial, store, n_seeds)


def _refits(trial: Trial, store: FoldStore, n_seeds: int) -> Iterator[Refitted]:
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


def _refit(trial: Trial, config: TrialConfig, store: FoldStore, fit: FinalFit) -> Refitted:
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
            f"with seed {config.seed} the training diverged: its weights are not finite. Take "
            "another trial."
        )
    member = Member(
        MemberFacts(
            shape=tuple(as_features(fit.fold.x_train).shape),
            n_outputs=n_outputs(config.loss, fit.fold),
            meaning=training.meaning,
            preprocessing=type(fit.preprocessing).__name__,
            n_bins=bin_counts(network),
            norms=packed.norms if packed is not None else (),
        ),
        fit.preprocessing,
        network,
        packed,
    )
    model = Model(facts_of(trial, config, store, (member.facts,)), [member], device)
    n_valid = len(fit.fold.valid_rows) if fit.has_validation else 0
    predictions = predicted(model, store, store.split.test_rows)
    return Refitted(model, config.seed, predictions, len(fit.fold.y_train), n_valid)


def _network(
    config: TrialConfig, fit: FinalFit, training: FoldTraining
) -> tuple[nn.Module, Packed | None]:
    """The trained network, read back from a packed one if the study compresses."""
    if config.compression.is_none:
        return training.best_model(), None
    try:
        packed = packed_models(config, [training])[0]
    except NoScoreError as error:
        raise RefitError(f"with seed {config.seed} the training failed: {error.reason}.") from None
    return unpack(packed, new_model(config, fit.fold)), packed


def _fewest_batches(config: TrialConfig, store: FoldStore) -> int:
    """As in the search, so that evaluations count the same."""
    size = config.training.batch_size
    return min(len(batch_sizes(len(train), size)) for train, _ in store.split.folds)


def predicted(model: Model, store: FoldStore, rows: Tensor) -> Predictions | None:
    """A model's predictions for some rows of the data set, in their order; None for no rows."""
    if not len(rows):
        return None
    blocks = store.dataset.blocks(rows, model.row_kind.block_rows(model.batch_rows))
    return np.concatenate([model.of_rows(block) for block in blocks])


def facts_of(
    trial: Trial, config: TrialConfig, store: FoldStore, members: tuple[MemberFacts, ...]
) -> ModelFacts:
    """What `model.json` says of a model of this trial."""
    dataset = store.dataset
    return ModelFacts.model_validate(
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
    """Of files of the user's own that the network is made of; a package has its version."""
    name = CodeName.parse(config.model.name)
    content = (store.workspace.code.hash_of(name) if name else None) or ""
    return {name.to_allow: content} if name and content.startswith(OF_FILES) else {}


def _row_dtype(dtype: torch.dtype, member: MemberFacts) -> str:
    """Of rows to predict: whole numbers that are scaled may come with fractions."""
    if dtype == torch.int64 and member.preprocessing != "OfIntegers":
        return "float64"
    return str(dtype).removeprefix("torch.")


def versions() -> dict[str, str]:
    """Of what trains and stores a model."""
    return {
        "tunecli": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "safetensors": safetensors.__version__,
    }


def mean_and_spread(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation (n - 1 below the line); 0 for one value."""
    mean = math.fsum(values) / len(values)
    rest = math.fsum((value - mean) ** 2 for value in values)
    return mean, math.sqrt(rest / (len(values) - 1)) if len(values) > 1 else 0.0
