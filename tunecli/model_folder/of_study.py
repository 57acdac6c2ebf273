"""The model of a study: which trial it is made from, and how often the test set was looked at."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tunecli.data.fold_store import FoldStore
from tunecli.data.summary import is_same_content
from tunecli.data.user_code import permit
from tunecli.data.workspace import Workspace
from tunecli.errors import RefitError
from tunecli.model_folder.as_searched import as_searched
from tunecli.model_folder.card import card
from tunecli.model_folder.folder import TEXTS, refuse_foreign_model
from tunecli.model_folder.places import MODEL
from tunecli.model_folder.refitting import Refitted, Trial, refit
from tunecli.model_folder.results import Results, results_of
from tunecli.model_folder.writing import write_model
from tunecli.report.best import config_of
from tunecli.report.records import StudyRecord, TrialRecord
from tunecli.search.database import StudyDatabase
from tunecli.search.place import Place
from tunecli.search.trial_folders import BEST
from tunecli.study_file.code_hashes import changed_files
from tunecli.study_file.printing import to_yaml
from tunecli.study_file.settings import CompressionSettings
from tunecli.study_file.source_kinds import NO_SOURCE
from tunecli.study_file.user_code import CodeName


def refit_study(
    study: StudyRecord,
    found: TrialRecord,
    place: Place,
    workspace: Workspace,
    n_seeds: int = 1,
    *,
    trains: bool = True,
    compression: CompressionSettings | None = None,
    announce: Callable[[], None] = lambda: None,
) -> tuple[Path, Results]:
    """Make a model of a trial, score it on the test rows, and write its folder.

    Of a study that is held by this process: a search that goes on may find a better trial.

    Args:
        trains: on all rows outside the test set; else the model is the mean of the fold models
            that the search kept.
        compression: in place of the trial's.
        announce: is called once nothing is refused any more, before what takes long.

    Returns:
        the folder, and the scores.

    Raises:
        RefitError: the trial cannot become a model, or the data is not that of the search.
        ModelFolderError: the folder cannot be written.
    """
    path = place.folder / MODEL
    refuse_foreign_model(path)  # before the training
    trial, store = trial_of(study, found, workspace)
    if compression is not None:
        config = trial.config.model_copy(update={"compression": compression})
        trial = replace(trial, config=config)
    kept = kept_models(place, found.number)
    training = refit(trial, store, n_seeds) if trains else None
    announce()
    refits = [as_searched(trial, store, kept)] if training is None else [*training]
    has_test = refits[0].predictions is not None
    looks = len(study.test_looks) + has_test
    results = results_of(trial, store, refits, looks)
    if has_test:
        _count_look(place, found.number, results)
    _write(path, study, refits, results)
    return path, results


def trial_of(
    study: StudyRecord, found: TrialRecord, workspace: Workspace
) -> tuple[Trial, FoldStore]:
    """A trial, and the data that it was searched on.

    Raises:
        RefitError: there is none, or it or the code has changed since.
    """
    config = config_of(study, found)
    trial = Trial(study.name, found.number, config, found.best_step or 0, found.fold_scores)
    _refuse_other_code(study, workspace)
    permit(workspace.code)
    if config.data.source == NO_SOURCE:
        raise RefitError(f"study {study.name} has no data of tunecli's, so there is no refit.")
    store = FoldStore(config.data, config.validation, workspace)
    _refuse_other_data(study, store)
    return trial, store


def kept_models(place: Place, number: int) -> Path:
    """Where a search may have left the models of a trial."""
    return place.folder / BEST / str(number)


def _refuse_other_code(study: StudyRecord, workspace: Workspace) -> None:
    """Refuse code that the trial's scores are not of, before it runs.

    Code that is not allowed does not count: it never runs.

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


def _refuse_other_data(study: StudyRecord, store: FoldStore) -> None:
    known = study.summary
    configs = (trial.config for trial in study.trials if trial.config is not None)
    arguments = [config.get("data", {}).get("arguments") for config in configs]
    if any(other != arguments[0] for other in arguments):
        return  # each value is data of its own, and the fingerprint is of one alone
    dataset = store.dataset
    ours = dataset.fingerprint, dataset.first_fingerprint
    if known and known.fingerprint and not is_same_content(known.fingerprints, ours):
        raise RefitError(
            f"the data {store.settings.source} has changed since study {study.name} was searched: "
            "its scores say nothing of a model of this data. Bring back the old data, or search "
            "again."
        )


def _count_look(place: Place, trial: int, results: Results) -> None:
    """Before anybody sees a score."""
    found = results.of_test
    assert found is not None
    numbers = {"score": found.score, "low": found.low, "high": found.high}
    look = {
        "trial": trial,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
    }
    database = StudyDatabase.open(place.url, place.name)
    assert database is not None, "it was read before"
    try:
        looks = database.attribute("test_looks", [])
        database.set_attributes({"test_looks": [*looks, look]})
    finally:
        database.close()


def _write(path: Path, study: StudyRecord, refits: Sequence[Refitted], results: Results) -> None:
    model = refits[0].model
    assert study.summary is not None, "its fingerprint was compared"
    header = (
        f"Trial {model.facts.trial} of study {study.name}, which the model beside was made of."
    )
    contents = (
        to_yaml(model.facts.config, f"{study.name}-{model.facts.trial}", header),
        to_json(results),
        card(model.facts, results, study.summary, model.n_weights),
    )
    write_model(path, model, dict(zip(TEXTS, contents, strict=True)))


def to_json(results: Results) -> str:
    """As `metrics.json` has it."""
    return json.dumps(results.data(), indent=1, allow_nan=False) + "\n"
