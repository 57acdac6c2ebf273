"""Train a trial's configuration on all rows outside the test set, or average its fold models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from tunecli.data.final_fit import FinalFit, can_cut, final_fit
from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.preparation import Preprocessing, fit_preprocessing
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.data.rows.summary import unit_of
from tunecli.data.rows.texts import TextRows
from tunecli.errors import DataError, RefitError
from tunecli.model_folder.describe_model import manifest_of
from tunecli.model_folder.final_training import (
    WHY,
    FinalTraining,
    HeldOutFor,
    held_out_for,
    train_around,
    train_to,
)
from tunecli.model_folder.format.manifest import MemberManifest, ThresholdManifest
from tunecli.model_folder.format.model import Member, Model
from tunecli.model_folder.refit_own import meaning_of_own, own_network
from tunecli.report.analysis.best_evaluation import StandOut
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.compression.packing import Packed, unpack
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.fold_data import feature_form, folds_of
from tunecli.training.models.auto_models import stored_architecture
from tunecli.training.models.embeddings import bin_counts
from tunecli.training.models.pretrained.quantized_layers import whole_copy
from tunecli.training.outcome.adjustment import Adjustment
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
from tunecli.training.user_loop.kept_files import kept_folders
from tunecli.training.user_loop.user_network import UserNetwork, refuse_without_predict
from tunecli.training.user_loop.user_trial import UserTrial


@dataclass(frozen=True)
class RefitTrial:
    """The trial that becomes a model.

    Attributes:
        best_step: its best evaluation, from 0.
        fold_scores: scores of the objective at that evaluation, one per fold.
        stand_out: how far that evaluation stands out from those around it; None if unknown.
        equal_end: the last evaluation, if it ends a falling learning rate and is practically equal
            to the best one; else None.
    """

    study: str
    number: int
    config: TrialConfig
    best_step: int
    fold_scores: tuple[float, ...] = ()
    stand_out: StandOut | None = None
    equal_end: int | None = None

    @property
    def held_out_for(self) -> HeldOutFor | None:
        """Why a tenth of the rows is held out of the final training; None if it is not."""
        return held_out_for(self.config, self.stand_out)

    @property
    def planned_step(self) -> int:
        """The evaluation to train to; if a tenth is held out, the one to choose around."""
        if self.equal_end is None or self.held_out_for is not None:
            return self.best_step
        return self.equal_end


@dataclass(frozen=True)
class Refitted:
    """A model, and its predictions for the test rows.

    Attributes:
        seed: the seed of its training.
        predictions: predictions for the test rows, in their order: (n, n_classes) probabilities or
            (n,) values; None without a test set.
        unadjusted: those of the same networks without temperature and threshold, if the model has
            either; else None.
        n_rows: number of rows that it was trained on.
        validation_rows: number of rows held out of the training to provide scores during it.
        step: index of the evaluation whose weights the model has; None for fold models.
        n_evaluations: evaluations up to the end of the training; 0 for fold models.
        one_by_one: predictions of each network of an ensemble; empty for a single network.
    """

    model: Model
    seed: int
    predictions: Predictions | None
    n_rows: int
    validation_rows: int = 0
    unadjusted: Predictions | None = None
    step: int | None = None
    n_evaluations: int = 0
    one_by_one: tuple[Predictions, ...] = ()


def training_in_words(trial: RefitTrial, store: FoldStore) -> str:
    """Describe the final training: which rows are held out of it, and why."""
    dataset = store.dataset
    unit = unit_of(dataset.task, is_one_text=dataset.is_one_text)
    rows = f"{'all text' if unit == 'block' else f'all {unit}s'} outside the test set"
    if trial.held_out_for is None or not can_cut(store):
        return f"training on {rows}"
    return f"training on nine tenths of {rows}, because {WHY[trial.held_out_for]}"


def refit_seeds(trial: RefitTrial, store: FoldStore, n_seeds: int = 1) -> Iterator[Refitted]:
    """Train once per seed: with the study's seed and the ones after it.

    Raises:
        UserCodeError: the trial was trained by user code without `predict`, before any training.
        RefitError: a training diverges or fails.
        DataError: the data cannot be read.
    """
    refuse_unusable_code(trial.config)
    return _refits(trial, store, n_seeds)


def refuse_unusable_code(config: TrialConfig) -> None:
    """Refuse a configuration of user code of which no model can be made.

    Raises:
        UserCodeError: there is no `predict` next to the training.
    """
    if config.train is not None:
        refuse_without_predict(config.train.name)


def _refits(trial: RefitTrial, store: FoldStore, n_seeds: int) -> Iterator[Refitted]:
    config = trial.config
    standardizes = standardizes_target(config.loss)
    fit = final_fit(
        store,
        feature_form(config, store.workspace.folder),
        standardizes,
        trial.held_out_for is not None,
    )
    refit = _refit if config.train is None else _refit_by_user
    for number in range(n_seeds):
        seeded = config.model_copy(update={"seed": config.seed + number})
        yield refit(trial, seeded, store, fit)


def _refit_by_user(
    trial: RefitTrial, config: TrialConfig, store: FoldStore, fit: FinalFit
) -> Refitted:
    user_trial = UserTrial(trial.study, trial.number)
    network = own_network(config, user_trial, fit, trial.best_step + 1)
    member = _member(config, fit.fold, fit.preprocessing, network)
    made = _refitted(trial, config, store, [member], len(fit.fold.y_train))
    return replace(made, validation_rows=_n_validation(fit))


def _refit(trial: RefitTrial, config: TrialConfig, store: FoldStore, fit: FinalFit) -> Refitted:
    training = _trained(trial, config, store, fit)
    network, packed = _network(config, fit, training.fold)
    if not all(weight.isfinite().all() for weight in network.state_dict().values()):
        raise RefitError(
            f"the training with seed {config.seed} diverged: its weights are not finite. Choose "
            "another trial with --trial."
        )
    member = _member(config, fit.fold, fit.preprocessing, network, packed)
    made = _refitted(trial, config, store, [member], len(fit.fold.y_train))
    return replace(
        made,
        validation_rows=_n_validation(fit),
        step=training.step,
        n_evaluations=training.n_evaluations,
    )


def _n_validation(fit: FinalFit) -> int:
    return len(fit.fold.valid_rows) if fit.has_validation else 0


def _trained(
    trial: RefitTrial, config: TrialConfig, store: FoldStore, fit: FinalFit
) -> FinalTraining:
    # The batches per epoch of the smallest fold space the evaluations in a search.
    size = config.training.batch_size
    fewest = min(len(batch_sizes(len(train), size)) for train, _ in store.split.folds)
    chooses = fit.has_validation and trial.held_out_for != "fine-tuning"
    train = train_around if chooses else train_to
    return train(trial.planned_step, config, fit, fewest)


def _network(
    config: TrialConfig, fit: FinalFit, training: FoldTraining
) -> tuple[nn.Module, Packed | None]:
    """Return the trained network, read back from its packed form if the study compresses."""
    if config.compression.is_none:
        return whole_copy(training.best_model()), None
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
        UserCodeError: user code made them, and it has no `predict`.
    """
    if store.dataset.task == "language_modeling" and len(store.split.folds) > 1:
        raise RefitError(
            "the fold models of a language model cannot be averaged, since each has its own "
            "tokens. Leave out --as-searched."
        )
    members = fold_members(trial, store, folder)
    return _refitted(trial, trial.config, store, members, len(store.split.search_rows))


def adjusted(refitted: Refitted, adjustment: Adjustment | None, store: FoldStore) -> Refitted:
    """Return a model with the temperature and the threshold of an adjustment, if it has any."""
    if adjustment is None or not adjustment.changes_model:
        return refitted
    rule, plain = adjustment.rule, refitted.model
    decision = rule and ThresholdManifest(positive=rule[0], threshold=rule[1])
    thresholds = adjustment.labels.in_use if adjustment.labels is not None else ()
    changes = {
        "temperature": adjustment.temperature,
        "decision": decision,
        "thresholds": thresholds,
    }
    model = Model(plain.facts.model_copy(update=changes), plain.members, plain.device)
    predictions = _of_test_rows(model, store)
    return replace(refitted, model=model, predictions=predictions, unadjusted=refitted.predictions)


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
    return _member(config, fold, fitted, network, model if isinstance(model, Packed) else None)


def _fold_network(config: TrialConfig, fold: FoldData, model: Kept | Path) -> nn.Module:
    if isinstance(model, Path):
        assert config.train is not None
        return UserNetwork(config.train.name, model, fold.n_classes)
    return whole_copy(load_network(model, new_model(config, fold)))


def _member(
    config: TrialConfig,
    fold: FoldData,
    preprocessing: Preprocessing,
    network: nn.Module,
    packed: Packed | None = None,
) -> Member:
    is_own = config.train is not None
    facts = MemberManifest(
        shape=tuple(as_features(fold.x_train).shape),
        n_outputs=max(fold.n_classes, 1) if is_own else n_outputs(config.loss, fold),
        meaning=meaning_of_own(fold) if is_own else build_loss(config.loss, fold).meaning,
        preprocessing=preprocessing.kind,
        n_bins=bin_counts(network),
        norms=packed.norms if packed is not None else (),
        architecture=stored_architecture(network),
    )
    return Member(facts, preprocessing, network, packed)


def _refitted(
    trial: RefitTrial,
    config: TrialConfig,
    store: FoldStore,
    members: Sequence[Member],
    n_rows: int,
) -> Refitted:
    """Return the model of these members with its predictions for the test rows."""
    model = model_of(trial, config, store, members)
    made = Refitted(model, config.seed, _of_test_rows(model, store), n_rows)
    if len(members) == 1 or made.predictions is None:
        return made
    singles = (Model(model.facts, [one], model.device) for one in members)
    rows = store.split.test_rows
    return replace(made, one_by_one=tuple(predicted(one, store, rows) for one in singles))


def model_of(
    trial: RefitTrial, config: TrialConfig, store: FoldStore, members: Sequence[Member]
) -> Model:
    """Return networks of a trial as one model."""
    described = tuple(member.facts for member in members)
    facts = manifest_of(trial.study, trial.number, config, store, described)
    return Model(facts, members, choose_device(config.training.device))


def _of_test_rows(model: Model, store: FoldStore) -> Predictions | None:
    rows = store.split.test_rows
    return predicted(model, store, rows) if len(rows) else None


def predicted(model: Model, store: FoldStore, rows: Tensor) -> Predictions:
    """Return a model's predictions for some rows, as `Model.outputs` gives them.

    Those of a language model are sums over the tokens of each document; see `LanguageModel`.
    """
    if isinstance(store.dataset.x, TextRows) and store.dataset.task == "language_modeling":
        return model.language.sums_of_part(store.dataset.x, rows)
    blocks = store.dataset.blocks(rows, model.row_kind.block_rows(model.batch_rows))
    return np.concatenate([model.of_rows(block) for block in blocks])
