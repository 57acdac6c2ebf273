"""Load the data set that a study file names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor

from tunecli.data.arrays.arrays import load_arrays
from tunecli.data.arrays.user_data import load_user_data
from tunecli.data.columns import cleaning
from tunecli.data.pictures.class_folders import holds_texts
from tunecli.data.pictures.pictures import load_pictures
from tunecli.data.pictures.text_folders import load_text_folders
from tunecli.data.pictures.torchvision_sets import load_torchvision
from tunecli.data.rows.dataset import Column, Dataset
from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.data.tables.tables import load_table
from tunecli.data.text.corpora import load_corpus
from tunecli.errors import DataError
from tunecli.study_file.settings import source_kinds
from tunecli.study_file.settings.setting_types import SourceKind
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.settings.source_kinds import BUNDLED

Loader = Callable[[DataSettings, ValidationSettings, Workspace], Dataset]

# Diabetes in its original units: scaling is fitted inside the folds.
_BUNCHES: dict[str, Callable[[], Any]] = {
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}


def _load_bundled(settings: DataSettings, _: ValidationSettings, __: Workspace) -> Dataset:
    """Load one of scikit-learn's sets; digits as pictures, which MLP and Linear flatten again."""
    bunch = _BUNCHES[settings.source]()
    task = BUNDLED[settings.source]
    is_pictures = settings.source == "digits"
    x = bunch.images[:, np.newaxis] if is_pictures else bunch.data  # (1797, 1, 8, 8) for digits
    copies = None if is_pictures else cleaning.duplicate_rows(list(x.T), bunch.target)[0]
    return Dataset(
        name=settings.source,
        task=task,
        x=_tensor(x, np.float32),
        y=_tensor(bunch.target, np.int64 if task == "classification" else np.float64),
        classes=[str(c) for c in bunch.target_names] if task == "classification" else [],
        columns=() if is_pictures else tuple(Column(str(name)) for name in bunch.feature_names),
        copies=None if copies is None else torch.from_numpy(copies),
    )


def _load_class_folders(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    folder = workspace.folder / settings.source
    load = load_text_folders if folder.is_dir() and holds_texts(folder) else load_pictures
    return load(settings, validation, workspace)


def _tensor(values: Any, dtype: type[np.generic]) -> Tensor:
    """Copy values to a new tensor: scikit-learn's arrays may be views or read-only."""
    return torch.from_numpy(np.array(values, dtype=dtype, order="C"))


_LOADERS: dict[SourceKind, Loader] = {
    "bundled": _load_bundled,
    "table": load_table,
    "arrays": load_arrays,
    "corpus": load_corpus,
    "pictures": _load_class_folders,
    "torchvision": load_torchvision,
    "code": load_user_data,
}


def load_dataset(
    settings: DataSettings,
    workspace: Workspace = HERE,
    validation: ValidationSettings | None = None,
) -> Dataset:
    """Read the whole data set, unchanged and in its own order.

    Args:
        validation: a file, column or folder of validation rows is read, too.

    Raises:
        DataError: the source does not exist or cannot be used; with a remedy.
    """
    kind = source_kinds.kind_of_data(settings)
    if kind is None:
        raise DataError(
            source_kinds.unknown_source(settings.source, workspace.folder), "data.source"
        )
    return _LOADERS[kind](settings, validation or ValidationSettings(), workspace)
