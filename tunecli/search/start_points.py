"""`search.start_with`: what is tried first, written out or another study's best trials."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.errors import StudyFileError
from tunecli.search.database import StudyDatabase
from tunecli.search.enumeration import Point
from tunecli.search.place import Place
from tunecli.search.trials import Trial
from tunecli.study_file.matching import match
from tunecli.study_file.metrics import label
from tunecli.study_file.study_file import StudyFile


def start_points(study: StudyFile, place: Place) -> Sequence[Point]:
    """Partial assignments for a study's first trials.

    Args:
        study: completed.
        place: of the study; another study is looked for beside it.

    Raises:
        StudyFileError: there is no such other study, or it optimizes something else.
    """
    if study.start_from is None:
        return study.start_with
    source = Place(place.runs, study.start_from.study, place.storage)
    database = StudyDatabase.open(source.url, source.name)
    if database is None:
        raise _error(
            study,
            f"there is no study {source.name} in {place.runs.resolve()}. Run it first, or write "
            "the configurations out.",
        )
    try:
        _refuse_other_objective(study, database.attribute("objective", {}))
        best = _best(database.trials(), study)[: study.start_from.best]
    finally:
        database.close()
    # What today's ranges do not hold is suggested.
    return [match(study.tree, trial.config, trial.params).answers for trial in best]


def _refuse_other_objective(study: StudyFile, theirs: dict[str, str]) -> None:
    assert study.objective is not None
    ours = {"metric": label(study.objective.metric), "direction": study.objective.direction}
    if theirs != ours:
        assert study.start_from is not None
        message = (
            f"study {study.start_from.study} does not {ours['direction']} {ours['metric']}, so "
            "that its best trials are not the best here. Write configurations out instead."
        )
        raise _error(study, message)


def _error(study: StudyFile, message: str) -> StudyFileError:
    return study.error([(("search", "start_with", "study"), message)])


def _best(trials: Sequence[Trial], study: StudyFile) -> list[Trial]:
    """Complete trials, the best first; of equals the first in number."""
    assert study.objective is not None
    sign = -1 if study.objective.direction == "maximize" else 1
    complete = [t for t in trials if t.outcome == "complete" and t.value is not None]
    return sorted(complete, key=lambda trial: sign * (trial.value or 0.0))
