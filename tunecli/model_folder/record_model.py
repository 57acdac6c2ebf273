"""Record in a study what becomes of its trials: looks at the test set, and adjustments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_jsonable_python

from tunecli.database.write import StudyDatabase
from tunecli.model_folder.results import Results
from tunecli.search.study.study_folder import StudyFolder
from tunecli.training.outcome.adjustment import Adjustment


def count_look(
    study_folder: StudyFolder, trial: int, results: Results, *, compressed: bool = False
) -> None:
    """Record a look at the test set, before any score is shown.

    Args:
        compressed: whether the model was compressed in another way than in the search.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    score = to_jsonable_python(results.of_test_as_searched, inf_nan_mode="null")
    look = {"trial": trial, "at": now, **score, **_conditions(results), "compressed": compressed}
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


def _conditions(results: Results) -> dict[str, Any]:
    """Return what a report needs to compare the score with that of the search."""
    rows = results.validated
    found = {
        "n_networks": results.n_networks,
        "n_trials": results.n_trials,
        "single": results.one_by_one.get(results.metric),
        "n_test": results.n_test,
        "n_fold": rows.fold if rows is not None else None,
        "n_valid": rows.valid if rows is not None else None,
        "of_folds": results.of_fold_models.get(results.metric),
    }
    values: dict[str, Any] = to_jsonable_python(found, inf_nan_mode="null")
    return values
