"""From what a study file names as its data to a data set in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor

from tunecli.data.dataset import Dataset
from tunecli.data.workspace import HERE, Workspace
from tunecli.errors import DataError
from tunecli.study_file.bundled import BUNDLED
from tunecli.study_file.settings import DataSettings

# Diabetes in its original units: scaling is fitted inside the folds.
_LOADERS: dict[str, Callable[[], Any]] = {
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}


def load(settings: DataSettings, workspace: Workspace = HERE) -> Dataset:
    """Read the whole data set, unscaled and in its own order.

    Raises:
        DataError: if the source is none that tunecli knows.
    """
    if settings.source not in _LOADERS:
        known = ", ".join(sorted(_LOADERS))
        raise DataError(f"unknown data {settings.source!r}: write one of {known}.")
    return _bundled(settings.source)


def _bundled(name: str) -> Dataset:
    """One of scikit-learn's sets; digits as pictures, which MLP and Linear flatten again."""
    bunch = _LOADERS[name]()
    task = BUNDLED[name]
    pictures = name == "digits"
    x = bunch.images[:, np.newaxis] if pictures else bunch.data  # (1797, 1, 8, 8) for digits
    return Dataset(
        name=name,
        task=task,
        x=_tensor(x, np.float32),
        y=_tensor(bunch.target, np.int64 if task == "classification" else np.float32),
        classes=[str(c) for c in bunch.target_names] if task == "classification" else [],
        features=[] if pictures else [str(feature) for feature in bunch.feature_names],
    )


def _tensor(values: Any, dtype: type[np.generic]) -> Tensor:
    """A tensor with memory of its own: scikit-learn's arrays may be views or read-only."""
    return torch.from_numpy(np.array(values, dtype=dtype, order="C"))
