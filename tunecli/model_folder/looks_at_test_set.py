"""Count how often the test set of a study was looked at."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic_core import to_jsonable_python

from tunecli.database.write import StudyDatabase
from tunecli.model_folder.results import Results
from tunecli.search.study.study_folder import StudyFolder


def count_look(study_folder: StudyFolder, trial: int, results: Results) -> None:
    """Record a look at the test set, before any score is shown."""
    score = to_jsonable_python(results.of_test, inf_nan_mode="null")
    look = {"trial": trial, "at": datetime.now(UTC).isoformat(timespec="seconds"), **score}
    database = StudyDatabase.open(study_folder.url, study_folder.name)
    assert database is not None, "it was read before"
    try:
        looks = database.attribute("test_looks", [])
        database.set_attributes({"test_looks": [*looks, look]})
    finally:
        database.close()
