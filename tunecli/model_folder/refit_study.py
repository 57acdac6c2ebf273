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
from tunecli.model_folder.find import MODEL, is_model_folder
from tunecli.model_folder.format.folder import TEXTS, refuse_foreign_model, write_model
from tunecli.model_folder.out_of_fold import of_test_rows, out_of_fold
from tunecli.model_folder.record_model import count_look, record_adjustment
from tunecli.model_folder.refitting import (
    Refitted,
    RefitTrial,
    adjusted,
    as_searched,
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
        compression: the compression to use instead of the trial's.
        threshold: the threshold of the model, for two classes.
        announce: called with what will be done, once nothing is refused anymore and before the
            work that takes long.

    Raises:
        RefitError: the trial cannot become a model, the data is not that of the search, or it has
            not two classes, which a given threshold requires.
        ModelFolderError: the folder cannot be written.
    """
    of_study = study_folder.folder / MODEL
    path = path or of_study
    refuse_foreign_model(path)  # before the training
    trial, store = trial_of(study, trial_record, workspace)
    if compression is not None:
        config = trial.config.model_copy(update={"compression": compression})
        trial = replace(trial, config=config)
    refuse_threshold(threshold, store)
    models = kept_models(study_folder, trial_record.number)
    # Either refuses what cannot be made; the training itself begins below.
    made = refit_seeds(trial, store, n_seeds) if trains else [as_searched(trial, store, models)]
    announce(training_in_words(trial, store) if trains else "averaging its fold models")
    plain = [*made]
    adjustment = None
    if store.dataset.are_probabilities:
        outputs = _outputs(study, trial_record, trial, store, models)
        adjustment = _adjustment(trial, store, *outputs, threshold)
        is_of_single = len(plain[0].model.members) > 1
        adjustment = replace(adjustment, is_of_single=is_of_single)
    refits = [adjusted(one, adjustment, store) for one in plain]
    has_test = refits[0].predictions is not None
    looks = len(study.test_looks) + has_test
    of_folds = of_test_rows(trial, store, models) if trains and compression is None else ()
    results = results_of(trial, store, refits, looks, adjustment, of_folds)
    if compression is None:
        results = replace(results, expected=_expected(study, trial_record, results))
    if has_test:
        compressed = compression is not None
        count_look(study_folder, trial_record.number, results, compressed=compressed)
    moved = _write(path, study, refits, results)
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


def _expected(study: StudyRecord, trial: TrialRecord, results: Results) -> ExpectedScore | None:
    """Return what the search lets expect of the best trial's model; None for another trial."""
    best, test = best_trial(study), results.of_test_as_searched
    if best is None or best.number != trial.number:
        return None
    return expected_score(study, test.error if test is not None else None, results.validated)


def trial_of(
    study: StudyRecord, record: TrialRecord, workspace: Workspace
) -> tuple[RefitTrial, FoldStore]:
    """Return a trial, and the data of its search.

    Raises:
        RefitError: the study has no data, or its data or code has changed since the search.
    """
    config, curve = config_of(study, record), study.curve(record)
    trial = RefitTrial(
        study.name,
        record.number,
        config,
        record.best_step or 0,
        record.fold_scores,
        best_of_curve(study, record, curve),
        equal_end(study, record, curve, metric_directions(config)),
    )
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


def _write(
    path: Path, study: StudyRecord, refits: Sequence[Refitted], results: Results
) -> Sequence[Path]:
    """Write the model folder; return where the models are now that were in its place."""
    model = refits[0].model
    assert study.summary is not None, "its fingerprint was compared"
    header = (
        f"Trial {model.facts.trial} of study {study.name}: the configuration of the model in "
        "this folder."
    )
    values = to_jsonable_python(results, inf_nan_mode="null")
    contents = (
        to_yaml(model.facts.config, f"{study.name}-{model.facts.trial}", header),
        json.dumps(values, indent=1, allow_nan=False) + "\n",
        card(model.facts, results, study.summary, model.n_weights),
    )
    return write_model(path, model, dict(zip(TEXTS, contents, strict=True)))
