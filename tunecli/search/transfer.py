"""`search.learn_from`: trials of other studies that a sampler is told of before the first of ours.

What is learned is kept in the study's database when it is made, so that a search that goes on
learns the same, whatever has become of the other study.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import Any

from tunecli.data.rows.summary import DataSummary
from tunecli.database.lessons import Learned, Lesson, from_attribute
from tunecli.database.trials import Trial
from tunecli.database.validate_rows import refuse_nonsense
from tunecli.database.write import StudyDatabase
from tunecli.errors import StudyFileError
from tunecli.search.resume import StoredStudy
from tunecli.search.study.study_folder import StudyFolder
from tunecli.study_file.locate_config import match
from tunecli.study_file.settings.settings import DataSettings, TrialConfig, ValidationSettings
from tunecli.study_file.space.tree import SETTINGS
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.failure_reasons import says_out_of_memory


def learn(study: StudyFile, summary: DataSummary, place: StudyFolder) -> tuple[Learned, ...]:
    """Read what the studies of `search.learn_from` teach.

    Args:
        study: completed.
        place: of the study; the others are looked for beside it.

    Raises:
        StudyFileError: there is no such study, or its scores mean something else.
    """
    return tuple(_learn(study, summary, place, name) for name in study.search.learn_from)


def learned_by(database: StudyDatabase) -> tuple[Learned, ...]:
    """What a study learned when it was made.

    Raises:
        DatabaseError: that is damaged.
    """
    with refuse_nonsense(database.url):
        return from_attribute(database.attribute("learned", []))


def _learn(study: StudyFile, summary: DataSummary, place: StudyFolder, name: str) -> Learned:
    other = StudyFolder(place.runs, name, place.storage)
    database = StudyDatabase.open(other.url, name) if name != study.name else None
    if database is None:
        where = "itself" if name == study.name else f"no study of {place.runs.resolve()}"
        raise _error(study, f"{name} is {where}. Name a study that has trials, or leave it out.")
    try:
        theirs = StoredStudy.read(database)
    finally:
        database.close()
    differences = _differences(theirs, study, summary)
    if differences:
        raise _error(
            study,
            f"study {name} has another {' and another '.join(differences)}, so that its scores "
            "say nothing here. Leave it out.",
        )
    found = [_lesson(study, trial) for trial in theirs.trials]
    reasons = Counter(reason for reason in found if isinstance(reason, str))
    lessons = tuple(lesson for lesson in found if isinstance(lesson, Lesson))
    return Learned(name, len(found), lessons, dict(reasons.most_common()))


def _error(study: StudyFile, message: str) -> StudyFileError:
    return study.error([(("search", "learn_from"), message)])


def _differences(theirs: StoredStudy, study: StudyFile, summary: DataSummary) -> list[str]:
    """What makes the scores of two studies incomparable, whatever the trial."""
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
        "objective": (theirs.study.objectives, study.objectives),
        "set of limits": (theirs.study.constraints, study.constraints),
    }
    return [name for name, (before, now) in pairs.items() if before != now]


def _facts(settings: DataSettings | ValidationSettings) -> dict[str, Any]:
    """What decides which rows are scored; of a file its name, wherever it lies."""
    apart = {"source", "root", "download", "arguments", "scale", "augment"}
    facts = settings.model_dump(exclude=apart)
    return {k: PurePath(v).name if isinstance(v, str) else v for k, v in facts.items()}


def _lesson(study: StudyFile, trial: Trial) -> Lesson | str:
    """What a trial teaches, or in a few words why it teaches nothing here."""
    if trial.outcome is None:
        return "no end yet"
    if trial.outcome == "failed" and not says_out_of_memory(trial.reason):
        return "no result"
    found = match(study.tree, trial.config, trial.params)
    if found.misfits:
        return found.misfits[0]
    config = study.resolve(lambda name, _: found.answers[name])
    for part in ("data", "train", "model", "loss", "optimizer", "schedule", *SETTINGS):
        before, now = (_part(one, part) for one in (trial.config, config))
        if before != now:
            return f"another {part}"
    return Lesson(found.answers, trial.outcome, trial.reason, trial.value, trial.n_evaluations)


def _part(config: TrialConfig, part: str) -> Any:
    """What a configuration says of one part, as far as scores depend on it."""
    found = getattr(config, part)
    if part == "data":
        return found.scale, found.augment
    return found.model_dump(exclude={"max_time"}) if part == "training" else found
