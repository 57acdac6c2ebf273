"""Make the model of a study from a trial, and count how often the test set was looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic_core import to_jsonable_python

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.summary import is_same_content
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code.import_user_code import permit
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.errors import RefitError
from tunecli.model_folder.adjust.adjusting import adjusted_to, refuse_threshold, unadjusted
from tunecli.model_folder.card import card
from tunecli.model_folder.compressing import compressed_out_of_fold
from tunecli.model_folder.ensemble.choice import EnsembleChoice
from tunecli.model_folder.find import MODEL, is_model_folder
from tunecli.model_folder.fold_models import as_searched, of_test_rows, out_of_fold
from tunecli.model_folder.format.folder import TEXTS, refuse_foreign_model, write_model
from tunecli.model_folder.format.manifest import Manifest
from tunecli.model_folder.record_model import count_look, record_adjustment
from tunecli.model_folder.refitting import (
    Refitted,
    RefitTrial,
    adjusted,
    mean_of_seeds,
    refit_seeds,
    training_in_words,
)
from tunecli.model_folder.results import Results, results_of
from tunecli.report.analysis.best_evaluation import best_of_curve, equal_end
from tunecli.report.analysis.expected_score import ExpectedScore, expected_score
from tunecli.report.analysis.ranking import best_trial
from tunecli.report.studies.best import config_of
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.study.trial_folders import BEST
from tunecli.study_file.catalogue.code_hashes import changed_files
from tunecli.study_file.catalogue.model_files import (
    NAMES_FILES,
    changed_model_files,
    model_files,
)
from tunecli.study_file.print_study import to_yaml
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.settings.metric_names import metric_directions
from tunecli.study_file.settings.settings import Component, CompressionSettings
from tunecli.study_file.settings.source_kinds import NO_SOURCE
from tunecli.training.outcome.adjustment import Adjustment, ThresholdWish
from tunecli.training.step.losses import Predictions


@dataclass(frozen=True)
class WrittenModel:
    """A model folder that was written.

    Attributes:
        results: the model's scores.
        moved: where the models are now that were in its place.
    """

    path: Path
    results: Results
    moved: Sequence[Path]


def refit_study(
    study: StudyRecord,
    trial_record: TrialRecord,
    study_folder: StudyFolder,
    workspace: Workspace,
    n_seeds: int = 1,
    *,
    path: Path | None = None,
    trains: bool = True,
    averages: bool = False,
    compression: CompressionSettings | None = None,
    threshold: ThresholdWish = "auto",
    announce: Callable[[str], None] = lambda doing: None,
) -> WrittenModel:
    """Make a model from a trial, score it on the test rows, and write its folder.

    This process must hold the study: a running search may find a better trial.

    Args:
        path: the model folder to write; by default that in the study's folder.
        trains: whether to train on all rows outside the test set; otherwise the model is the mean
            of the fold models that the search kept.
        averages: whether the model is the mean of all trainings, not the first of them.
        compression: the compression to use instead of the trial's.
        threshold: the threshold of the model, for two classes.
        announce: called with what will be done, once nothing is refused anymore and before the
            work that takes long.

    Raises:
        RefitError: the trial cannot become a model, the data is not that of the search, or it has
            not two classes, which a given threshold requires.
        ModelFolderError: the folder cannot be written.
    """
    refuse_foreign_model(path or study_folder.folder / MODEL)  # before the training
    trial, store = trial_of(study, trial_record, workspace)
    if compression is not None:
        config = trial.config.model_copy(update={"compression": compression})
        trial = replace(trial, config=config)
    refuse_threshold(threshold, store)
    refuse_mean(store, averages=averages)
    made = made_of_trial(
        study,
        trial_record,
        (trial, store),
        kept_models(study_folder, trial_record.number),
        n_seeds,
        averages=averages,
        trains=trains,
        threshold=threshold,
        announce=announce,
    )
    made = replace(made, is_compressed=compression is not None)
    return written_model(study, made, study_folder, path)


@dataclass(frozen=True)
class MadeModel:
    """A model that is scored and written next.

    Attributes:
        trial: its trial; of an ensemble, the one that counts most.
        model: the model, not adjusted yet.
        trainings: the trainings with several seeds, whose test scores are compared.
        adjustment: the temperature and the threshold for it; None for regression.
        of_folds: predictions of the test rows by each fold model of the search.
        choice: how the trials of an ensemble were chosen; None if none was wanted.
        is_compressed: whether it is compressed in another way than in the search.
    """

    trial: RefitTrial
    store: FoldStore
    model: Refitted
    trainings: Sequence[Refitted]
    adjustment: Adjustment | None
    of_folds: Sequence[Predictions] = ()
    choice: EnsembleChoice | None = None
    is_compressed: bool = False


def made_of_trial(
    study: StudyRecord,
    record: TrialRecord,
    of_search: tuple[RefitTrial, FoldStore],
    models: Path,
    n_seeds: int = 1,
    *,
    averages: bool = False,
    trains: bool,
    threshold: ThresholdWish,
    announce: Callable[[str], None],
) -> MadeModel:
    """Make a model from one trial.

    Args:
        of_search: the trial, and the data of its search.
        models: the folder in which the search may have kept the trial's models.
    """
    trial, store = of_search
    # Either refuses what cannot be made; the training itself begins below.
    made = refit_seeds(trial, store, n_seeds) if trains else [as_searched(trial, store, models)]
    announce(training_in_words([trial], store) if trains else "averaging its fold models")
    plain = [*made]
    model = mean_of_seeds(plain, store) if averages else plain[0]
    adjustment = None
    if store.dataset.are_probabilities:
        outputs = _outputs(study, record, trial, store, models)
        adjustment = _adjustment(trial, store, *outputs, threshold)
        adjustment = replace(adjustment, is_of_single=model.n_parts > 1)
    is_as_in_search = trial.config.compression == config_of(study, record).compression
    of_folds = of_test_rows(trial, store, models) if trains and is_as_in_search else ()
    return MadeModel(trial, store, model, plain, adjustment, of_folds)


def written_model(
    study: StudyRecord, made: MadeModel, study_folder: StudyFolder, path: Path | None
) -> WrittenModel:
    """Adjust a model, score it on the test rows, and write its folder; see `refit_study`."""
    of_study = study_folder.folder / MODEL
    path = path or of_study
    store, adjustment = made.store, made.adjustment
    model = adjusted(made.model, adjustment, store)
    others = (one for one in made.trainings if one is not made.model)
    trainings = [adjusted(one, adjustment, store) for one in others]
    if len(trainings) < len(made.trainings):
        trainings = [model, *trainings]
    has_test = model.predictions is not None
    looks = len(study.test_looks) + has_test
    results = results_of(
        made.trial, store, trainings, looks, adjustment, made.of_folds, model, made.choice
    )
    if not made.is_compressed:
        results = replace(results, expected=_expected(study, made.trial.number, results))
    if has_test:
        count_look(study_folder, made.trial.number, results, compressed=made.is_compressed)
    moved = _write(path, study, model, results)
    is_of_study = path.resolve() == of_study.resolve() or not is_model_folder(of_study)
    if adjustment is not None and is_of_study:  # the report tells of the study's own model
        record_adjustment(study_folder, adjustment)
    return WrittenModel(path, results, moved)


def _outputs(
    study: StudyRecord,
    record: TrialRecord,
    trial: RefitTrial,
    store: FoldStore,
    models: Path,
) -> tuple[Sequence[Predictions] | None, str]:
    """Return out-of-fold predictions by models that are compressed as the model is, if any.

    Returns:
        The predictions by fold, and why there are none if they are None.
    """
    if trial.config.compression != config_of(study, record).compression:
        why_not = (
            f"the search kept no models of trial {trial.number} that can be compressed this way"
        )
        return compressed_out_of_fold(trial, store, models), why_not
    why_not = f"the search kept neither the predictions nor the models of trial {trial.number}"
    return out_of_fold(trial, store, study.predictions(record), models), why_not


def _adjustment(
    trial: RefitTrial,
    store: FoldStore,
    outputs: Sequence[Predictions] | None,
    why_not: str,
    threshold: ThresholdWish,
) -> Adjustment:
    """Return what a trial's out-of-fold predictions suggest; see `_outputs`."""
    if outputs is None:
        return unadjusted(trial.number, store, threshold, why_not)
    return adjusted_to(trial.number, trial.config, store, outputs, threshold)


def _expected(study: StudyRecord, number: int, results: Results) -> ExpectedScore | None:
    """Return what the search lets expect of the best trial's model; None for another model."""
    best, test = best_trial(study), results.of_test_as_searched
    if best is None or best.number != number or results.n_trials > 1:
        return None
    return expected_score(study, test.error if test is not None else None, results.validated)


def trial_of(
    study: StudyRecord, record: TrialRecord, workspace: Workspace
) -> tuple[RefitTrial, FoldStore]:
    """Return a trial, and the data of its search.

    Raises:
        RefitError: the study has no data, or its data or code has changed since the search.
    """
    trial = refit_trial(study, record)
    config = trial.config
    _refuse_other_code(study, workspace)
    _refuse_other_models(study, config.model, workspace.folder)
    permit(workspace.code)
    if config.data.source == NO_SOURCE:
        raise RefitError(
            f"study {study.name} loads its data in its own training code, so tunecli cannot refit "
            "its trials."
        )
    store = FoldStore(config.data, config.validation, workspace)
    _refuse_other_data(study, store)
    return trial, store


def refit_trial(study: StudyRecord, record: TrialRecord) -> RefitTrial:
    """Return what the search found out about a trial that becomes a model."""
    config, curve = config_of(study, record), study.curve(record)
    return RefitTrial(
        study.name,
        record.number,
        config,
        record.best_step or 0,
        record.fold_scores,
        best_of_curve(study, record, curve),
        equal_end(study, record, curve, metric_directions(config)),
    )


def refuse_mean(store: FoldStore, *, averages: bool) -> None:
    """Refuse the mean of several language models, before any training.

    Raises:
        RefitError: it is wanted.
    """
    if averages and store.dataset.task == "language_modeling":
        raise RefitError(
            "language models cannot be averaged: a model folder scores texts with one network. "
            "Leave out --mean."
        )


def earlier_wish(study: StudyRecord, record: TrialRecord) -> ThresholdWish:
    """Return the threshold that the user asked for when the study's model was made of a trial."""
    earlier = study.adjustment
    return "auto" if earlier is None or earlier.trial != record.number else earlier.wish


def kept_models(study_folder: StudyFolder, number: int) -> Path:
    """Return the folder in which a search may have kept the models of a trial."""
    return study_folder.folder / BEST / str(number)


def _refuse_other_code(study: StudyRecord, workspace: Workspace) -> None:
    """Refuse code that has changed since the search, before it runs.

    Code that is not allowed is ignored: it never runs.

    Raises:
        RefitError: a file or package has changed since the search.
    """
    allowed = workspace.code
    if not allowed.allows_anything:
        return
    names = {option: CodeName(option, "") for option in study.code}
    changed = changed_files(workspace.folder, study.loaded_code) or [
        option
        for option, name in names.items()
        if allowed.hash_of(name) is not None and not allowed.is_as_before(name, study.code[option])
    ]
    if changed:
        have = "have" if len(changed) > 1 else "has"
        raise RefitError(
            f"{', '.join(changed[:5])} {have} changed since study {study.name} was searched: its "
            "scores do not apply to this code. Restore the old code or run a new search."
        )


def _refuse_other_models(study: StudyRecord, model: Component, folder: Path) -> None:
    """Refuse word vectors or a pretrained model that have changed since the search.

    Raises:
        RefitError: a file that the trial's model starts from has changed.
    """
    given = (model.arguments.get(name) for name in NAMES_FILES)
    names = [name for name in given if isinstance(name, str)]
    now = model_files(names, folder, study.model_files)
    if changed := changed_model_files(study.model_files, now):
        have, it = ("have", "them") if len(changed) > 1 else ("has", "it")
        raise RefitError(
            f"{', '.join(changed[:5])} {have} changed since study {study.name} was searched: its "
            f"scores do not apply to models that start from {it}. Restore the old content or run "
            "a new search."
        )


def _refuse_other_data(study: StudyRecord, store: FoldStore) -> None:
    known = study.summary
    configs = (trial.config for trial in study.trials if trial.config is not None)
    arguments = [config.get("data", {}).get("arguments") for config in configs]
    if any(other != arguments[0] for other in arguments):
        return  # each value gives other data, and the fingerprint is that of the first
    dataset = store.dataset
    ours = dataset.fingerprint, dataset.first_fingerprint
    if known and known.fingerprint and not is_same_content(known.fingerprints, ours):
        raise RefitError(
            f"the data {store.settings.source} has changed since study {study.name} was searched: "
            "its scores do not apply to this data. Restore the old data or run a new search."
        )


def _write(path: Path, study: StudyRecord, refitted: Refitted, results: Results) -> Sequence[Path]:
    """Write the model folder; return where the models are now that were in its place."""
    model = refitted.model
    assert study.summary is not None, "its fingerprint was compared"
    own, *others = model.facts.configs
    values = to_jsonable_python(results, inf_nan_mode="null")
    contents = (
        _study_file(study, model.facts, own),
        json.dumps(values, indent=1, allow_nan=False) + "\n",
        card(model.facts, results, study.summary, model.n_weights),
    )
    texts = dict(zip(TEXTS, contents, strict=True))
    texts |= {f"study-{one}.yaml": _study_file(study, model.facts, one) for one in others}
    return write_model(path, model, texts)


def _study_file(study: StudyRecord, facts: Manifest, number: int) -> str:
    """Return the study file of one of the trials that a model is made of."""
    what = "a network" if len(facts.configs) > 1 else "the model"
    header = f"Trial {number} of study {study.name}: the configuration of {what} in this folder."
    return to_yaml(facts.configs[number], f"{study.name}-{number}", header)
