"""A data set in memory: tensors, and what a model must know of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.date_features import DatePart
from tunecli.data.depth import Depth
from tunecli.data.features import Features, as_features
from tunecli.data.loaded_rows import LoadedRows
from tunecli.study_file.settings import Task

ToldBy = Literal["text", "number", "float"]


@dataclass(frozen=True)
class Column:
    """A column of cells to predict from: one of a table, or a part of one of dates.

    Attributes:
        categories: names in the order of the codes; empty for numbers.
        told_by: what makes two cells one category: their text, or their exact number. Models of
            earlier versions tell them by the nearest float.
        date: what a number says of a date; None for other numbers and categories.
        unit: that the numbers have, empty for none; None where `data.units` names no unit, and in
            models of earlier versions.
    """

    name: str
    kind: Literal["numeric", "categorical"] = "numeric"
    categories: tuple[str, ...] = ()
    told_by: ToldBy = "float"
    date: DatePart | None = None
    unit: str | None = None

    @property
    def source(self) -> str:
        """The table's column that it comes from."""
        return self.name if self.date is None else self.date.column

    @property
    def is_first(self) -> bool:
        """Whether it is the only or the first one that comes from its column."""
        return self.date is None or self.date.part == "elapsed"


@dataclass(frozen=True)
class Dataset:
    """Features and targets of all rows, as they were read: nothing is imputed or scaled yet.

    Attributes:
        x: (n_rows, n_columns) of a table, float64 or float32; NaN is a missing cell, and columns
            of categories hold codes. (n_rows, channels, height, width) of pictures. int64 of whole
            numbers in arrays of the user's own. What is loaded batch by batch has the same shape,
            and neither columns nor copies.
        y: (n_rows,) int64 class indices, or (n_rows,) float64 values.
        classes: names in the order of the indices; empty for regression.
        columns: of a table; empty for pictures.
        target: what is predicted and how that was found, in words; empty where that is known.
        groups: (n_rows,) int64; rows of one group stay together. None for no groups.
        times: (n_rows,) float64; validation and test rows are later than training rows.
        weights: (n_rows,) float64, what each row counts, not negative; None if all count alike.
        copies: (n_rows,) int64, of each row the first one that is equal, target included; None if
            all differ, or where copies need not stay together.
        given_test: rows that the source puts away for the test, (n,) int64; None for none.
        given_folds: (n_rows,) int64, the fold in which a row validates, or -1 for none; None if
            the source does not say.
        notes: sentences on what was left out, or looks wrong.
        known_fingerprint: where the content was hashed before.
        depth: how pictures of more than 8 bits became bytes; None if all had 8 bits.
        known_fingerprint, known_first: both fingerprints, where the content was hashed before.
    """

    name: str
    task: Task
    x: Tensor | LoadedRows
    y: Tensor
    classes: Sequence[str] = ()
    columns: tuple[Column, ...] = ()
    target: str = ""
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

    @property
    def x_bytes(self) -> int:
        """Memory of the features."""
        return self.x.nbytes

    @property
    def given(self) -> tuple[str, ...]:
        """The splits that the source brings: `test`, `validation`."""
        splits = {"test": self.given_test, "validation": self.given_folds}
        return tuple(name for name, rows in splits.items() if rows is not None)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides a score, in hexadecimal."""
        if self.known_fingerprint:
            return self.known_fingerprint
        assert isinstance(self.x, Tensor), "of loaded rows it is known"
        return self._hash(self.x, self.y)

    @cached_property
    def first_fingerprint(self) -> str:
        """What numerics version 1 gave, by which its studies know this content.

        Targets had 32 bits then, and arrays of whole numbers were floats.
        """
        if self.known_fingerprint:
            return self.known_first or self.known_fingerprint
        assert isinstance(self.x, Tensor), "of loaded rows it is known"
        return self._hash(first_features(self.x), first_targets(self.y))

    def _hash(self, x: Tensor, y: Tensor) -> str:
        digest = hashlib.sha256()
        parts = [x, y, self.groups, self.times, self.given_test, self.given_folds]
        for tensor in parts if self.weights is None else [*parts, self.weights]:
            if tensor is None:
                digest.update(b"none;")
                continue
            array = np.ascontiguousarray(tensor.numpy())
            digest.update(f"{array.shape} {array.dtype.str};".encode())
            digest.update(array.data)
        return digest.hexdigest()

    @cached_property
    def targets_need_64_bits(self) -> bool:
        """Whether 32 bits would change a value by more than 1e-4 of the standard deviation."""
        if self.task == "classification":
            return False
        errors = (self.y.float().double() - self.y).abs()
        return not bool((errors <= 1e-4 * self.y.std(correction=0)).all())

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row: (n_features,) or (channels, height, width)."""
        return tuple(self.x.shape[1:])

    def blocks(self, rows: Tensor, n_rows: int) -> Iterator[Tensor]:
        """Some rows as they were read, (…, *shape), in order, so many at a time at most."""
        parts = torch.split(rows, n_rows)
        if isinstance(self.x, LoadedRows):
            return self.x.batches(rows, [len(part) for part in parts])
        x = self.x
        return (x[part] for part in parts)

    def weights_of(self, rows: Tensor) -> NDArray[np.float64] | None:
        """What some rows count, (n,); None if all rows of the data set count alike."""
        return None if self.weights is None else self.weights[rows].numpy()


def first_features(x: Tensor) -> Tensor:
    """Features as numerics version 1 had them."""
    if x.ndim == 2:
        return x.double() if x.dtype == torch.int64 else x
    return x if x.dtype == torch.uint8 else x.float()


def first_targets(y: Tensor) -> Tensor:
    """Targets as numerics version 1 had them."""
    return y.float() if y.is_floating_point() else y


@dataclass(frozen=True)
class FoldData:
    """One fold's tensors, preprocessed by what was fitted on its training part alone.

    Attributes:
        number: of the fold, from 0; the seed of its training follows from it.
        x_train, y_train: the training part; regression targets are standardized, float32, unless
            the loss wants counts, float64.
        x_valid, y_valid: the validation part; `y_valid` is in the original unit, float64 for
            regression, and always on the CPU, where scores are computed.
        valid_rows: indices of the validation rows in the data set, (n_valid,) int64.
        y_mean, y_std: of the training targets: original = standardized * y_std + y_mean; 0 and 1
            where targets are not standardized.
        n_classes: 0 for regression.
        cat_cardinalities: of a table whose model embeds categories: its last columns hold codes
            from 0 (missing; 1 is what the training part does not have), and this many of them. The
            columns before are numbers.
        train_rows: indices of the training rows in the data set, (n_train,) int64; None where the
            rows come from no data set.
        train_weights: what each training row counts in the training loss, (n_train,) float32 with
            mean 1, above 0; None where all count alike.
        valid_weights: what each validation row counts in a score, (n_valid,) float64 on the CPU,
            not negative; None where all count alike.
        targets_need_64_bits: see `Dataset`.
    """

    number: int
    task: Task
    x_train: Tensor | Features
    y_train: Tensor
    x_valid: Tensor | Features
    y_valid: Tensor
    valid_rows: Tensor
    n_classes: int
    y_mean: float = 0.0
    y_std: float = 1.0
    cat_cardinalities: tuple[int, ...] = ()
    train_rows: Tensor | None = None
    train_weights: Tensor | None = None
    valid_weights: NDArray[np.float64] | None = None
    targets_need_64_bits: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row: (n_features,) or (channels, height, width)."""
        return as_features(self.x_train).shape

    def to(self, device: torch.device) -> FoldData:
        """The same fold with its tensors on `device`; no copy where they are there already."""
        return replace(
            self,
            x_train=self.x_train.to(device),
            y_train=self.y_train.to(device),
            train_weights=None if self.train_weights is None else self.train_weights.to(device),
            x_valid=self.x_valid.to(device),
        )
