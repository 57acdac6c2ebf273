"""Folds without rows, for a user's training loop that brings its own data."""

from __future__ import annotations

import torch

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.summary import DataSummary
from tunecli.study_file.settings.settings import Component, ValidationSettings
from tunecli.study_file.settings.source_kinds import NO_SOURCE
from tunecli.study_file.study_file import Study, StudyFile

GIVEN = ("test", "validation")
"""The splits that tunecli cannot make, because it has no rows."""


class NoData:
    """A stand-in for `FoldStore`: as many folds as the study asks for, all of them empty."""

    def __init__(self, validation: ValidationSettings) -> None:
        self._n_folds = (validation.folds or 1) * validation.repeats

    def folds(self, scale: Component | None = None, *_: object) -> list[FoldData]:
        """Return the folds; there is nothing to scale."""
        empty = torch.empty(0, 0)
        none, rows = torch.empty(0), torch.empty(0, dtype=torch.int64)
        return [
            FoldData(number, "regression", empty, none, empty, none, rows, n_classes=0)
            for number in range(self._n_folds)
        ]

    def summary(self) -> DataSummary:
        """Return a summary without rows, for the screen and the database."""
        return DataSummary(
            source=NO_SOURCE,
            task="regression",
            n_rows=0,
            n_search=0,
            n_test=0,
            shape=(),
            classes=(),
            class_counts=(),
            n_folds=self._n_folds,
            validation=f"{self._n_folds} runs" if self._n_folds > 1 else "one run",
            guess={},
            fingerprint="",
            given=GIVEN,
        )


def completed_without_data(study: StudyFile) -> Study:
    """Fill in the defaults of a study whose training brings its own data."""
    return study.completed("regression", 0, GIVEN)
