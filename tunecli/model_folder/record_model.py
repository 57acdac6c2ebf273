"""Record in a study what becomes of its trials: looks at the test set, and adjustments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime

from pydantic_core import to_jsonable_python

from tunecli.database.write import StudyDatabase
from tunecli.model_folder.results import Results
from tunecli.search.study.study_folder import StudyFolder
from tunecli.training.outcome.adjustment import Adjustment


def count_look(study_folder: StudyFolder, trial: int, results: Results) -> None:
    """Record a look at the test set, before any score is shown."""
    score = to_jsonable_python(results.of_test_as_searched, inf_nan_mode="null")
    look = {"trial": trial, "at": datetime.now(UTC).isoformat(timespec="seconds"), **score}
    with _opened(study_folder) as database:
        looks = database.attribute("test_looks", [])
        database.set_attributes({"test_looks": [*looks, look]})


def record_adjustment(study_folder: StudyFolder, adjustment: Adjustment) -> None:
    """Record how the model that is made was adjusted, for the report."""
    with _opened(study_folder) as database:
        database.set_attributes({"adjustment": asdict(adjustment)})


@contextmanager
def _opened(study_folder: StudyFolder) -> Iterator[StudyDatabase]:
    database = StudyDatabase.open(study_folder.url, study_folder.name)
    assert database is not None, "it was read before"
    try:
        yield database
    finally:
        database.close()
