"""What the data is, in plain values: for the screen, the database and the study's defaults.

Imports neither numpy nor torch: the driver reads it, a worker makes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.study_file.settings import Task


@dataclass(frozen=True)
class DataSummary:
    """Attributes of a data set before any training.

    Attributes:
        n_rows: all rows; `n_search` of them are searched on and `n_test` put away for the test.
        shape: of one row: (n_features,) or (channels, height, width).
        classes: their names, in the order of the model's outputs; empty for regression.
        class_counts: rows of each class among the search rows; empty for regression.
        n_folds: model fits of one trial.
        validation: in words, e.g. "5 stratified folds".
        guess: score, by metric name, of always guessing the commonest class or the mean, fitted on
            each training part; the metrics that the study measures and a guess can have.
        fingerprint: hash of the content (features, targets, in order).
        notes: sentences a user should read, e.g. on a small class.
        given: what the data brings of its own: `test`, `validation`.
        target: what is predicted and how that was found, in words; empty for a bundled set.
        n_numeric, n_categorical, n_dates: columns of a table; 0 for pictures.
        n_features: what a model gets of one row of a table in the first fold, after encoding.
        n_missing: cells of a table that are empty.
    """

    source: str
    task: Task
    n_rows: int
    n_search: int
    n_test: int
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    n_folds: int
    validation: str
    guess: dict[str, float]
    fingerprint: str
    notes: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    target: str = ""
    n_numeric: int = 0
    n_categorical: int = 0
    n_features: int = 0
    n_missing: int = 0
    n_dates: int = 0
