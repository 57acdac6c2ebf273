"""A data set in memory: its tensors, and what a model must know about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.rows.decoding import Depth
from tunecli.data.rows.features import Features, as_features
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.texts import TextRows
from tunecli.study_file.settings.settings import Task

ToldBy = Literal["text", "number", "float"]
PerTarget = float | tuple[float, ...]
"""A number of the target, or one for each of several targets."""

DateKind = Literal["date", "time of day", "duration"]

Part = Literal[
    "elapsed",
    "hour, sin",
    "hour, cos",
    "weekday, sin",
    "weekday, cos",
    "day of year, sin",
    "day of year, cos",
]
"""A number's meaning: elapsed seconds, or the position in a day, a week or a year."""


@dataclass(frozen=True)
class DateForm:
    """The form of a column's dates: decided once on the data, and stored with a model.

    Attributes:
        order: the order of day and month; empty if no cell needs one.
        is_aware: whether they have time zones, and are thus converted to UTC.
    """

    kind: DateKind
    order: Literal["", "day-first", "month-first"] = ""
    is_aware: bool = False


@dataclass(frozen=True)
class DatePart:
    """The part of a table's date column that a column of numbers encodes.

    Attributes:
        column: the table's column.
        form: how its cells are read.
    """

    column: str
    part: Part
    form: DateForm


@dataclass(frozen=True)
class Column:
    """A feature column: a column of a table, or one part of a date column.

    Attributes:
        categories: names in the order of the codes; empty for numbers.
        told_by: what makes two cells one category: their text, or their exact number. Models of
            earlier versions compare the nearest floats.
        date: the part of a date that the numbers encode; None for other columns.
        unit: the unit of the numbers, empty for none; None if `data.units` names no unit, and in
            models of earlier versions.
    """

    name: str
    kind: Literal["numeric", "categorical", "text"] = "numeric"
    categories: tuple[str, ...] = ()
    told_by: ToldBy = "float"
    date: DatePart | None = None
    unit: str | None = None

    @property
    def content(self) -> Literal["numeric", "categorical", "text", "date"]:
        """The kind of the table's column: see `KINDS`."""
        return self.kind if self.date is None else "date"

    @property
    def source(self) -> str:
        """The table's column that this one comes from."""
        return self.name if self.date is None else self.date.column

    @property
    def is_first(self) -> bool:
        """Whether this is the first or only column made from its source."""
        return self.date is None or self.date.part == "elapsed"


def positions_by_source(columns: Sequence[Column]) -> dict[str, list[int]]:
    """Return the positions of the columns that come from each of a table's columns."""
    positions: dict[str, list[int]] = {}
    for position, column in enumerate(columns):
        positions.setdefault(column.source, []).append(position)
    return positions


@dataclass(frozen=True)
class Dataset:
    """Features and targets of all rows as read from the source: not yet imputed or scaled.

    Attributes:
        x: for tables (n_rows, n_columns), float64 or float32; NaN is a missing cell, and category
            columns hold codes. For pictures (n_rows, channels, height, width). int64 for whole
            numbers in the user's own arrays. Rows that are loaded batch by batch have the same
            shape, but neither columns nor copies. Texts, and the other columns.
        y: (n_rows,) int64 class indices, or float64 values: (n_rows,), or (n_rows, n_targets) of
            several targets. Labels are 0.0 or 1.0.
        classes: names in the order of the indices; empty for regression and for labels.
        targets: the names of several targets; empty for a single one.
        columns: the columns of a table, without those of text; empty for pictures.
        text_columns: the names of the columns of text.
        target: the target and how its kind was found, in words; empty if that is known.
        groups: (n_rows,) int64; rows of one group stay together. None without groups.
        times: (n_rows,) float64; validation and test rows are later than training rows. None
            without times.
        weights: (n_rows,) float64, the weight of each row, not negative; None if all are equal.
        copies: (n_rows,) int64, for each row the first row equal to it, target included; None if
            all differ, or if copies need not stay together.
        given_test: the test rows that the source defines, (n,) int64; None if it defines none.
        given_folds: (n_rows,) int64, the fold in which a row validates, or -1; None if the source
            does not define folds.
        is_one_text: whether the rows are consecutive parts of one text, for a language model.
        notes: sentences on what was left out or looks wrong.
        depth: how pictures of more than 8 bits became bytes; None if all had 8 bits.
        known_fingerprint, known_first: both fingerprints, if the content was hashed before.
    """

    name: str
    task: Task
    x: Tensor | LoadedRows | TextRows
    y: Tensor
    classes: Sequence[str] = ()
    columns: tuple[Column, ...] = ()
    text_columns: tuple[str, ...] = ()
    target: str = ""
    targets: tuple[str, ...] = ()
    groups: Tensor | None = None
    times: Tensor | None = None
    weights: Tensor | None = None
    copies: Tensor | None = None
    given_test: Tensor | None = None
    given_folds: Tensor | None = None
    notes: tuple[str, ...] = ()
    known_fingerprint: str = ""
    depth: Depth | None = None
    known_first: str = ""
    is_one_text: bool = False

    @property
    def x_bytes(self) -> int:
        """Memory of the features, in bytes."""
        return self.x.nbytes

    @property
    def given(self) -> tuple[str, ...]:
        """The splits that the source defines: `test`, `validation`."""
        splits = {"test": self.given_test, "validation": self.given_folds}
        return tuple(name for name, rows in splits.items() if rows is not None)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 hash, in hexadecimal, of everything in the data that decides a score."""
        if self.known_fingerprint:
            return self.known_fingerprint
        assert not isinstance(self.x, LoadedRows), "loaded rows have a known fingerprint"
        return self._hash(self.x, self.y)

    @cached_property
    def first_fingerprint(self) -> str:
        """Fingerprint of numerics version 1, by which its studies recognize this content.

        Targets had 32 bits then, and arrays of whole numbers were floats.
        """
        if self.known_fingerprint:
            return self.known_first or self.known_fingerprint
        if isinstance(self.x, TextRows):  # that version had none
            return self.fingerprint
        assert isinstance(self.x, Tensor), "loaded rows have a known fingerprint"
        x, y = first_features(self.x), first_targets(self.y)
        return self.fingerprint if (x is self.x and y is self.y) else self._hash(x, y)

    def _hash(self, x: Tensor | TextRows, y: Tensor) -> str:
        digest = hashlib.sha256()
        table = x.table if isinstance(x, TextRows) else x
        parts = [table, y, self.groups, self.times, self.given_test, self.given_folds]
        for tensor in parts if self.weights is None else [*parts, self.weights]:
            if tensor is None:
                digest.update(b"none;")
                continue
            _add(np.ascontiguousarray(tensor.numpy()), digest)
        for texts in x.texts if isinstance(x, TextRows) else ():
            _add(texts.content, digest)
            _add(texts.ends, digest)
        return digest.hexdigest()

    @cached_property
    def targets_need_64_bits(self) -> bool:
        """Whether 32 bits would change a value by more than 1e-4 of the standard deviation."""
        if self.task != "regression":
            return False
        errors = (self.y.float().double() - self.y).abs()
        return not bool((errors <= 1e-4 * self.y.std(0, correction=0)).all())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row: (n_columns,), those of text included, or (channels, height, width)."""
        return tuple(self.x.shape[1:])

    @property
    def are_probabilities(self) -> bool:
        """Whether predictions are probabilities, of classes or of labels, not values."""
        return self.task in ("classification", "multilabel")

    @property
    def n_functions(self) -> int:
        """Number of functions to fit: one per target; for classes one, from three on one each."""
        n_classes = len(self.classes)
        return len(self.targets) or (n_classes if n_classes > 2 else 1)

    @property
    def without_texts(self) -> Dataset:
        """The data set without its text columns."""
        return replace(self, x=self.x.table) if isinstance(self.x, TextRows) else self

    def blocks(self, rows: Tensor, n_rows: int) -> Iterator[Tensor | TextRows]:
        """Return the rows as read, in order, in blocks (n, *shape) of at most `n_rows`."""
        parts = torch.split(rows, n_rows)
        if isinstance(self.x, LoadedRows):
            return self.x.batches(rows, [len(part) for part in parts])
        x = self.x
        return (x[part] for part in parts)

    def weights_of(self, rows: Tensor) -> NDArray[np.float64] | None:
        """Return the weights of some rows, (n,); None if all rows of the data set weigh alike."""
        return None if self.weights is None else self.weights[rows].numpy()


def _add(array: NDArray[Any], digest: Any) -> None:
    """Add an array with its form to a hash."""
    digest.update(f"{array.shape} {array.dtype.str};".encode())
    digest.update(array.data)


def first_features(x: Tensor) -> Tensor:
    """Return features in the types of numerics version 1."""
    if x.ndim == 2:
        return x.double() if x.dtype == torch.int64 else x
    return x if x.dtype == torch.uint8 else x.float()


def first_targets(y: Tensor) -> Tensor:
    """Return targets in the types of numerics version 1."""
    return y.float() if y.is_floating_point() else y


@dataclass(frozen=True)
class TokenForm:
    """The form of rows of tokens, as a model gets them.

    A batch is one tensor: (batch, length) int64, the tokens of each row, or, if there are other
    features, (batch, n_features + length) float32, first those features, then the tokens.

    Attributes:
        vocab_size: number of tokens, which are whole numbers from 0.
        pad: the token that fills rows up to the longest one of a batch.
        n_features: number of other features of a row.
        vocabulary: the text of each token.
        study_folder: the folder that paths in a model's arguments are relative to.
    """

    vocab_size: int
    pad: int
    n_features: int = 0
    vocabulary: Sequence[str] = field(default=(), compare=False, repr=False)
    study_folder: Path = field(default=Path(), compare=False, repr=False)

    @property
    def are_alone(self) -> bool:
        """Whether rows are tokens and nothing else."""
        return not self.n_features


@dataclass(frozen=True)
class FoldData:
    """One fold's tensors, with preprocessing fitted on its training part alone.

    For language modeling, a row is a block of tokens of a document: x is (n, block_size) int64,
    and y holds the next token of each, -100 where none counts; `n_classes` is the number of
    tokens in the vocabulary.

    Attributes:
        number: the fold's number, from 0; the seed of its training follows from it.
        x_train, y_train: the training part; regression targets are standardized, float32, unless
            the loss wants counts, float64. Several targets are (n, n_targets), labels float64.
        x_valid, y_valid: the validation part; `y_valid` is in the original unit, float64 for
            regression, and always on the CPU, where scores are computed.
        valid_rows: indices of the validation rows in the data set, (n_valid,) int64.
        y_mean, y_std: mean and standard deviation of the training targets: original =
            standardized * y_std + y_mean; 0 and 1 if targets are not standardized.
        n_classes: the number of classes; 0 for regression and for labels.
        positive: the index of the positive class; None without two classes.
        cat_cardinalities: the number of codes in each category column of a table whose model
            embeds categories. These are the last columns; code 0 is missing, and 1 is a category
            that the training part lacks. The columns before are numbers.
        train_rows: indices of the training rows in the data set, (n_train,) int64; None if the
            rows do not come from a data set.
        train_weights: the weight of each training row in the training loss, (n_train,) float32
            with mean 1, above 0; None if all are equal.
        valid_weights: the weight of each validation row in a score, (n_valid,) float64 on the
            CPU, not negative; None if all are equal.
        valid_bytes: bytes of the text of each validation row's targets, (n_valid,); None unless
            the task is language modeling.
        targets_need_64_bits: see `Dataset`.
        tokens: the form of rows of tokens; None for other rows.
    """

    number: int
    task: Task
    x_train: Tensor | Features
    y_train: Tensor
    x_valid: Tensor | Features
    y_valid: Tensor
    valid_rows: Tensor
    n_classes: int
    y_mean: PerTarget = 0.0
    y_std: PerTarget = 1.0
    cat_cardinalities: tuple[int, ...] = ()
    train_rows: Tensor | None = None
    train_weights: Tensor | None = None
    valid_weights: NDArray[np.float64] | None = None
    targets_need_64_bits: bool = False
    positive: int | None = None
    tokens: TokenForm | None = None
    valid_bytes: Tensor | None = None

    @property
    def n_targets(self) -> int:
        """Number of values or labels that are predicted for a row."""
        return 1 if self.n_classes or self.y_train.ndim == 1 else self.y_train.shape[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, of tokens the longest: (n_features,) or (channels, height, width)."""
        return as_features(self.x_train).shape

    def to(self, device: torch.device) -> FoldData:
        """Return the fold with its tensors on `device`; tensors already there are shared."""
        return replace(
            self,
            x_train=self.x_train.to(device),
            y_train=self.y_train.to(device),
            train_weights=None if self.train_weights is None else self.train_weights.to(device),
            x_valid=self.x_valid.to(device),
        )
