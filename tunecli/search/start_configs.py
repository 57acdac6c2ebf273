"""`search.start_with`: the configurations to try first, listed or from another study."""

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
from tunecli.study_file.study_file import Study


def start_points(study: Study, study_folder: StudyFolder) -> Sequence[Point]:
    """Return partial parameter assignments for a study's first trials.

    Args:
        study: a completed study file.
        study_folder: the study's folder; another study is searched for in the same `runs` or
            database.

    Raises:
        StudyFileError: the other study does not exist, or it optimizes something else.
    """
    if study.start_from is None:
        return study.start_with
    source = StudyFolder(study_folder.runs, study.start_from.study, study_folder.storage)
    database = StudyDatabase.open(source.url, source.name)
    if database is None:
        raise _error(
            study,
            f"study {source.name} does not exist in {source.runs.resolve()}. Run it first, or "
            "list the configurations here.",
        )
    try:
        _refuse_other_objective(study, _objectives(database))
        best = _best(database.trials(), study)[: study.start_from.best]
    finally:
        database.close()
    # Values outside the current ranges are left out, so the sampler suggests them.
    return [match(study.tree, trial.config, trial.params).answers for trial in best]


def _refuse_other_objective(study: Study, theirs: Sequence[dict[str, str]]) -> None:
    ours = [objective_attribute(objective) for objective in study.objectives]
    if list(theirs) != ours:
        assert study.start_from is not None
        wanted = " and ".join(f"{one['direction']} {one['metric']}" for one in ours)
        message = (
            f"study {study.start_from.study} does not {wanted}, so its best trials are not the "
            "best ones here. List configurations instead."
        )
        raise _error(study, message)


def _objectives(database: StudyDatabase) -> list[dict[str, str]]:
    """Return the stored objectives; a study of an earlier version has one."""
    objectives: list[dict[str, str]] = database.attribute("objectives") or [
        database.attribute("objective", {})
    ]
    return objectives


def _error(study: Study, message: str) -> StudyFileError:
    return study.error([(("search", "start_with", "study"), message)])


def _best(trials: Sequence[Trial], study: Study) -> list[Trial]:
    """Return complete trials, the best in the first objective first; ties by number.

    With several objectives, the trials on the Pareto front come first.
    """
    directions = [objective.direction for objective in study.objectives]
    sign = -1 if directions[0] == "maximize" else 1
    front = FrontTracker(directions, trials)
    complete = [trial for trial in trials if trial.values]
    return sorted(complete, key=lambda trial: (trial not in front, sign * trial.values[0]))
