"""`search.start_with`: what is tried first, written out or another study's best trials."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.database.trials import Trial
from tunecli.database.write import StudyDatabase
from tunecli.errors import StudyFileError
from tunecli.search.resume import objective_attribute
from tunecli.search.study.front import FrontTracker
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.suggest.enumeration import Point
from tunecli.study_file.locate_config import match
from tunecli.study_file.study_file import StudyFile


def start_points(study: StudyFile, place: StudyFolder) -> Sequence[Point]:
    """Partial assignments for a study's first trials.

    Args:
        study: completed.
        place: of the study; another study is looked for beside it.

    Raises:
        StudyFileError: there is no such other study, or it optimizes something else.
    """
    if study.start_from is None:
        return study.start_with
    source = StudyFolder(place.runs, study.start_from.study, place.storage)
    database = StudyDatabase.open(source.url, source.name)
    if database is None:
        raise _error(
            study,
            f"there is no study {source.name} in {place.runs.resolve()}. Run it first, or write "
            "the configurations out.",
        )
    try:
        _refuse_other_objective(study, _objectives(database))
        best = _best(database.trials(), study)[: study.start_from.best]
    finally:
        database.close()
    # What today's ranges do not hold is suggested.
    return [match(study.tree, trial.config, trial.params).answers for trial in best]


def _refuse_other_objective(study: StudyFile, theirs: Sequence[dict[str, str]]) -> None:
    ours = [objective_attribute(objective) for objective in study.objectives]
    if list(theirs) != ours:
        assert study.start_from is not None
        wanted = " and ".join(f"{one['direction']} {one['metric']}" for one in ours)
        message = (
            f"study {study.start_from.study} does not {wanted}, so that its best trials are not "
            "the best here. Write configurations out instead."
        )
        raise _error(study, message)


def _objectives(database: StudyDatabase) -> list[dict[str, str]]:
    """As they were stored; a study of an earlier version has one."""
    found: list[dict[str, str]] = database.attribute("objectives") or [
        database.attribute("objective", {})
    ]
    return found


def _error(study: StudyFile, message: str) -> StudyFileError:
    return study.error([(("search", "start_with", "study"), message)])


def _best(trials: Sequence[Trial], study: StudyFile) -> list[Trial]:
    """Complete trials, the best in the first objective first; of equals the first in number.

    With several objectives those that no other beats come before all others.
    """
    directions = [objective.direction for objective in study.objectives]
    sign = -1 if directions[0] == "maximize" else 1
    front = FrontTracker(directions, trials)
    complete = [trial for trial in trials if trial.values]
    return sorted(complete, key=lambda trial: (trial not in front, sign * trial.values[0]))
