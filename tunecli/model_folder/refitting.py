"""Train a trial's configuration on all rows outside the test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from tunecli.data.final_fit import FinalFit, can_cut, final_fit
from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.preparation import Preprocessing
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.data.rows.summary import unit_of
from tunecli.data.rows.texts import TextRows
from tunecli.errors import RefitError
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
from tunecli.study_file.text.counts import count
from tunecli.training.compression.packing import Packed, unpack
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.fold_data import feature_form
from tunecli.training.models.auto_models import stored_architecture
from tunecli.training.models.layers.embeddings import bin_counts
from tunecli.training.models.pretrained.quantized_layers import whole_copy
from tunecli.training.outcome.adjustment import Adjustment
from tunecli.training.outcome.score_guard import NoScoreError
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.losses import (
    Predictions,
    build_loss,
    n_outputs,
    standardizes_target,
)
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import packed_models
from tunecli.training.user_loop.user_network import refuse_without_predict
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
        instead: what to do if its training fails.
    """

    study: str
    number: int
    config: TrialConfig
    best_step: int
    fold_scores: tuple[float, ...] = ()
    stand_out: StandOut | None = None
    equal_end: int | None = None
    instead: str = "Choose another trial with --trial."

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
        n_parts: number of parts whose mean the model predicts, each of them such as the search
            scored: fold models, or trainings with different seeds; 1 for such a model itself.
        one_by_one: predictions of each of several parts for the test rows; else empty.
    """

    model: Model
    seed: int
    predictions: Predictions | None
    n_rows: int
    validation_rows: int = 0
    unadjusted: Predictions | None = None
    step: int | None = None
    n_evaluations: int = 0
    n_parts: int = 1
    one_by_one: tuple[Predictions, ...] = ()


def training_in_words(trials: Sequence[RefitTrial], store: FoldStore) -> str:
    """Describe the final training of each trial: which rows are held out of it, and why."""
    by_rows: dict[str, list[str]] = {}
    for trial in trials:
        by_rows.setdefault(_rows_in_words(trial, store), []).append(str(trial.number))
    if len(by_rows) == 1:
        several = f"{count(len(trials), 'trial')} " if len(trials) > 1 else ""
        return f"training {several}on {next(iter(by_rows))}"
    parts = [
        f"trial{'s' if len(numbers) > 1 else ''} {', '.join(numbers)} on {rows}"
        for rows, numbers in by_rows.items()
    ]
    return f"training {'; '.join(parts)}"


def _rows_in_words(trial: RefitTrial, store: FoldStore) -> str:
    dataset = store.dataset
    unit = unit_of(dataset.task, is_one_text=dataset.is_one_text)
    rows = f"{'all text' if unit == 'block' else f'all {unit}s'} outside the test set"
    if trial.held_out_for is None or not can_cut(store):
        return rows
    return f"nine tenths of {rows}, because {WHY[trial.held_out_for]}"


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
    try:
        network = own_network(config, user_trial, fit, trial.best_step + 1)
    except NoScoreError as error:
        raise _failed(trial, config, error.outcome, error.reason) from None
    member = member_of(config, fit.fold, fit.preprocessing, network)
    model = model_of(trial, config, store, [member])
    made = as_refitted(model, config.seed, store, len(fit.fold.y_train))
    return replace(made, validation_rows=_n_validation(fit))


def _refit(trial: RefitTrial, config: TrialConfig, store: FoldStore, fit: FinalFit) -> Refitted:
    try:
        training = _trained(trial, config, store, fit)
        network, packed = _network(config, fit, training.fold)
    except NoScoreError as error:
        raise _failed(trial, config, error.outcome, error.reason) from None
    if not all(weight.isfinite().all() for weight in network.state_dict().values()):
        raise _failed(trial, config, "diverged", "its weights are not finite")
    member = member_of(config, fit.fold, fit.preprocessing, network, packed)
    model = model_of(trial, config, store, [member])
    made = as_refitted(model, config.seed, store, len(fit.fold.y_train))
    return replace(
        made,
        validation_rows=_n_validation(fit),
        step=training.step,
        n_evaluations=training.n_evaluations,
    )


def _failed(trial: RefitTrial, config: TrialConfig, outcome: str, reason: str) -> RefitError:
    which = f"the training of trial {trial.number} with seed {config.seed}"
    what = "diverged" if outcome == "diverged" else "failed"
    return RefitError(f"{which} {what}: {reason}. {trial.instead}")


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
    packed = packed_models(config, [training])[0]
    return unpack(packed, new_model(config, fit.fold)), packed


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


def member_of(
    config: TrialConfig,
    fold: FoldData,
    preprocessing: Preprocessing,
    network: nn.Module,
    packed: Packed | None = None,
) -> Member:
    """Return a trained network with its preprocessing as a member of a model.

    Args:
        fold: the data that it was trained on.
        packed: the packed form that a compressed network was read from; else None.
    """
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


def as_refitted(
    model: Model, seed: int, store: FoldStore, n_rows: int, parts: Sequence[Sequence[Member]] = ()
) -> Refitted:
    """Return a model with its predictions for the test rows.

    Args:
        n_rows: number of rows that it was trained on.
        parts: see `Refitted.one_by_one`; empty if the search scored models like this one.
    """
    predictions = _of_test_rows(model, store)
    made = Refitted(model, seed, predictions, n_rows, n_parts=max(len(parts), 1))
    if predictions is None:
        return made
    models = (Model(model.facts, part, model.device) for part in parts)
    rows = store.split.test_rows
    return replace(made, one_by_one=tuple(predicted(one, store, rows) for one in models))


def joint_model(models: Sequence[Model], weights: Sequence[int]) -> Model:
    """Return the weighted mean of models as one model, which is described as the first of them."""
    first = models[0]
    members = [
        _counted(member, model, weight, first)
        for model, weight in zip(models, weights, strict=True)
        for member in model.members
    ]
    facts = [model.facts for model in models]
    update = {
        "members": tuple(member.facts for member in members),
        "code": {name: code for one in facts for name, code in one.code.items()},
        "versions": {name: version for one in facts for name, version in one.versions.items()},
    }
    return Model(first.facts.model_copy(update=update), members, first.device)


def _counted(member: Member, model: Model, weight: int, first: Model) -> Member:
    """Return a member of one of several models, with what distinguishes it from the first."""
    facts, update = model.facts, {"weight": weight * member.facts.weight}
    if facts.trial != first.facts.trial:
        of_trial = {"trial": facts.trial, "config": facts.config}
        return replace(member, facts=member.facts.model_copy(update=update | of_trial))
    return replace(member, facts=member.facts.model_copy(update=update))


def mean_of_seeds(refits: Sequence[Refitted], store: FoldStore) -> Refitted:
    """Return the mean of several trainings of one trial as the model."""
    first = refits[0]
    model = joint_model([one.model for one in refits], [1] * len(refits))
    parts = [one.model.members for one in refits]
    made = as_refitted(model, first.seed, store, first.n_rows, parts)
    steps = {one.step for one in refits}
    return replace(
        made,
        validation_rows=first.validation_rows,
        step=first.step if len(steps) == 1 else None,
        n_evaluations=first.n_evaluations,
    )


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
