"""What the data is, in plain values: for the screen, the database and the study's defaults.

Imports neither numpy nor torch: the driver reads it, a worker makes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.study_file.settings.settings import Task

Fingerprints = tuple[str, str]
"""Of one content: by this numerics version, and by the first; the latter alone, then empty, of
what that version has stored."""


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
        first_fingerprint: what numerics version 1 gave as the fingerprint of the same content;
            empty in summaries that it made.
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
    first_fingerprint: str = ""

    def has_content_of(self, other: DataSummary) -> bool:
        """Whether both are of the same content, whichever numerics version described it."""
        return is_same_content(self.fingerprints, other.fingerprints)

    @property
    def fingerprints(self) -> Fingerprints:
        """Of the content, by this version and by the first."""
        return self.fingerprint, self.first_fingerprint


def is_same_content(one: Fingerprints, other: Fingerprints) -> bool:
    """Whether two fingerprints are of the same content."""
    (ours, our_first), (theirs, their_first) = one, other
    if bool(our_first) == bool(their_first):
        return ours == theirs
    return (our_first or ours) == (their_first or theirs)
