"""A summary of the data in plain values: for the screen, the database and the study's defaults.

It imports neither numpy nor torch: the driver reads it, and a worker makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tunecli.study_file.settings.settings import Task

Fingerprints = tuple[str, str]
"""Two hashes of one content: by this numerics version, and by the first. In what the first
version stored, the second is empty."""


Unit = Literal["row", "document", "block"]
"""What the scores of a model are measured on: the parts of one long text are blocks of tokens."""


def unit_of(task: Task, *, is_one_text: bool) -> Unit:
    """Return what the scores of a model of this task are measured on."""
    if task != "language_modeling":
        return "row"
    return "block" if is_one_text else "document"


@dataclass(frozen=True)
class TokenSummary:
    """What text becomes in the first fold, under a study's first configuration.

    Attributes:
        n_columns: columns of text.
        vocab_size: number of tokens of the vocabulary.
        median, longest: tokens of a training row, before the rows are cut.
        max_length: largest number of tokens of a row.
        cut: share of the training rows that are cut.
        padding: share of padding in the training batches.
        unknown: share of the validation part's tokens that the vocabulary lacks.
    """

    n_columns: int
    vocab_size: int
    median: int
    longest: int
    max_length: int
    cut: float
    padding: float
    unknown: float


@dataclass(frozen=True)
class BlockSummary:
    """What the text of a language model becomes in the first fold, under its first configuration.

    Attributes:
        vocab_size: number of tokens of the vocabulary.
        n_tokens: number of tokens of the training part that the model predicts.
        n_blocks: number of blocks of the training part.
        block_size: number of tokens of a full block.
        padding: share of padding in the training batches.
        unknown: share of the validation part's tokens that the vocabulary lacks.
    """

    vocab_size: int
    n_tokens: int
    n_blocks: int
    block_size: int
    padding: float
    unknown: float


@dataclass(frozen=True)
class DataSummary:
    """Attributes of a data set before any training.

    Attributes:
        n_rows: all rows; `n_search` of them are used for the search and `n_test` held out.
        shape: the shape of one row: (n_features,) or (channels, height, width).
        classes: the class names, in the order of the model's outputs; empty for regression.
        class_counts: rows of each class, or with each label, among the search rows; empty for
            regression.
        positive: the class that metrics with `average: binary` score; None without two classes,
            and in summaries of versions without it, whose metrics are averages over both.
        n_folds: model fits of one trial.
        validation: the folds in words, such as "5 stratified folds".
        guess: score, by metric name, of always guessing the most common class or the mean, fitted
            on each training part; for metrics that the study measures and a guess can have.
        guess_folds: the same on each fold; empty in summaries of versions without it.
        fingerprint: hash of the content (features, targets, in order).
        notes: sentences that a user should read, for example on a small class.
        given: the splits that the data defines: `test`, `validation`.
        target: the target and how its kind was found, in words; empty for a bundled set.
        targets: the names of several targets; empty for a single one.
        n_numeric, n_categorical, n_dates: numbers of columns of a table; 0 for pictures.
        n_features: features of one row of a table in the first fold, after encoding.
        n_missing: empty cells of a table.
        tokens: what text becomes; None without text, and for language models.
        blocks: what the text of a language model becomes; None for other data, and in summaries
            of versions without it.
        text_bytes: bytes of the text that a language model learns from and is tested on; 0 for
            other data.
        is_one_text: whether the rows are consecutive parts of one text; see `Dataset`.
        first_fingerprint: fingerprint of the same content by numerics version 1; empty in
            summaries of that version.
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
    positive: str | None = None
    guess_folds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    tokens: TokenSummary | None = None
    text_bytes: int = 0
    is_one_text: bool = False
    blocks: BlockSummary | None = None
    targets: tuple[str, ...] = ()

    def has_content_of(self, other: DataSummary) -> bool:
        """Return whether both have the same content, whichever numerics version made them."""
        return is_same_content(self.fingerprints, other.fingerprints)

    @property
    def fingerprints(self) -> Fingerprints:
        """Fingerprints of the content, by this version and by the first."""
        return self.fingerprint, self.first_fingerprint


def is_same_content(one: Fingerprints, other: Fingerprints) -> bool:
    """Return whether two pairs of fingerprints are of the same content."""
    (ours, our_first), (theirs, their_first) = one, other
    if bool(our_first) == bool(their_first):
        return ours == theirs
    return (our_first or ours) == (their_first or theirs)
