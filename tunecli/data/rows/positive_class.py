"""Which of two classes metrics with `average: binary` score."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tunecli.data.rows.dataset import Dataset
from tunecli.errors import DataError
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import did_you_mean, listed

_SETTING = "data.positive"


def positive_class(dataset: Dataset, search_rows: Tensor, written: str | None) -> int | None:
    """Return the index of the positive class; None for data without two classes.

    By default it is the class with fewer rows for the search; with equally many, the second.

    Args:
        search_rows: indices of the rows for the search, (n,) int64.
        written: the name of the class in the study file.

    Raises:
        DataError: there is no such class, or there are not two classes.
    """
    if written is not None:
        return _index_of(written, dataset)
    if len(dataset.classes) != 2:
        return None
    first, second = np.bincount(dataset.y[search_rows].numpy(), minlength=2)
    return 0 if first < second else 1


def _index_of(written: str, dataset: Dataset) -> int:
    if dataset.task != "classification":
        raise DataError(
            f"got {written!r}, but this applies only to two classes, and the task is "
            f"{dataset.task}. Remove it.",
            _SETTING,
        )
    n_classes = len(dataset.classes)
    if n_classes != 2:
        raise DataError(
            f"got {written!r}, but this applies only to two classes, and the data has "
            f"{count(n_classes, 'class')}. Remove it; metrics are then averages over the classes.",
            _SETTING,
        )
    if written not in dataset.classes:
        hint = did_you_mean(written, dataset.classes)
        hint = hint or f" Write one of {listed(dataset.classes)}."
        raise DataError(f"class {written!r} does not exist.{hint}", _SETTING)
    return dataset.classes.index(written)
