"""`search.learn_from`: trials of other studies that a sampler sees before a study's first trial.

The lessons are stored in the study's database when it is created. So a resumed search learns the
same, even if the other study has changed or no longer exists.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import Any

from tunecli.data.rows.summary import DataSummary
from tunecli.database.learned_trials import Learned, Lesson, from_attribute
from tunecli.database.trials import Trial
from tunecli.database.validate_rows import refuse_nonsense
from tunecli.database.write import StudyDatabase
from tunecli.errors import StudyFileError
from tunecli.search.resume import StoredStudy
from tunecli.search.study.study_folder import StudyFolder
from tunecli.study_file.locate_config import match
from tunecli.study_file.settings.settings import DataSettings, TrialConfig, ValidationSettings
from tunecli.study_file.space.tree import SETTINGS
from tunecli.study_file.study_file import Study
from tunecli.training.outcome.failure_reasons import says_out_of_memory


def learn(study: Study, summary: DataSummary, study_folder: StudyFolder) -> tuple[Learned, ...]:
    """Read the trials of the studies in `search.learn_from` that fit this study.

    Args:
        study: a completed study file.
        study_folder: the study's folder; the others are searched for in the same `runs` or
            database.

    Raises:
        StudyFileError: a study does not exist, or its scores are not comparable.
    """
    return tuple(_learn(study, summary, study_folder, name) for name in study.search.learn_from)


def learned_by(database: StudyDatabase) -> tuple[Learned, ...]:
    """Return what a study learned when it was created.

    Raises:
        DatabaseError: the stored lessons are damaged.
    """
    with refuse_nonsense(database.url):
        return from_attribute(database.attribute("learned", []))


def _learn(study: Study, summary: DataSummary, study_folder: StudyFolder, name: str) -> Learned:
    other = StudyFolder(study_folder.runs, name, study_folder.storage)
    database = StudyDatabase.open(other.url, name) if name != study.name else None
    if database is None:
        problem = (
            f"study {name} cannot learn from itself"
            if name == study.name
            else f"study {name} does not exist in {study_folder.runs.resolve()}"
        )
        raise _error(study, f"{problem}. Name a study that has trials, or remove {name}.")
    try:
        theirs = StoredStudy.read(database)
    finally:
        database.close()
    differences = _differences(theirs, study, summary)
    if differences:
        raise _error(
            study,
            f"study {name} has different {' and different '.join(differences)}, so its scores do "
            f"not apply here. Remove {name}.",
        )
    outcomes = [_lesson(study, trial) for trial in theirs.trials]
    reasons = Counter(reason for reason in outcomes if isinstance(reason, str))
    lessons = tuple(lesson for lesson in outcomes if isinstance(lesson, Lesson))
    return Learned(name, len(outcomes), lessons, dict(reasons.most_common()))


def _error(study: Study, message: str) -> StudyFileError:
    return study.error([(("search", "learn_from"), message)])


def _differences(theirs: StoredStudy, study: Study, summary: DataSummary) -> list[str]:
    """Return the parts that make the scores of two studies incomparable, whatever the trial."""
    pairs: dict[str, tuple[Any, Any]] = {
        "data": (
            (
                theirs.summary.has_content_of(summary),
                theirs.summary.n_search,
                _facts(theirs.study.data),
            ),
            (True, summary.n_search, _facts(study.data)),
        ),
        "validation": (_facts(theirs.study.validation), _facts(study.validation)),
        "objectives": (theirs.study.objectives, study.objectives),
        "constraints": (theirs.study.constraints, study.constraints),
    }
    return [name for name, (before, now) in pairs.items() if before != now]


def _facts(settings: DataSettings | ValidationSettings) -> dict[str, Any]:
    """Return the settings that decide which rows are scored; a file by its name alone."""
    apart = {"source", "root", "download", "arguments", "scale", "augment"}
    facts = settings.model_dump(exclude=apart)
    return {k: PurePath(v).name if isinstance(v, str) else v for k, v in facts.items()}


def _lesson(study: Study, trial: Trial) -> Lesson | str:
    """Return what a trial teaches, or in a few words why it teaches nothing here."""
    if trial.outcome is None:
        return "no result yet"
    if trial.outcome == "failed" and not says_out_of_memory(trial.reason):
        return "no result"
    located = match(study.tree, trial.config, trial.params)
    if located.misfits:
        return located.misfits[0]
    config = study.resolve(lambda name, _: located.answers[name])
    for part in ("data", "train", "model", "loss", "optimizer", "schedule", *SETTINGS):
        before, now = (_part(one, part) for one in (trial.config, config))
        if before != now:
            return f"another {part}"
    return Lesson(located.answers, trial.outcome, trial.reason, trial.value, trial.n_evaluations)


def _part(config: TrialConfig, part: str) -> Any:
    """Return one part of a configuration, without the settings that no score depends on."""
    settings = getattr(config, part)
    if part == "data":
        return settings.scale, settings.augment
    return settings.model_dump(exclude={"max_time"}) if part == "training" else settings
