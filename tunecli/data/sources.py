"""Load the data set that a study file names, or take a first look at it for a starter study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor

from tunecli.data.arrays.arrays import load_arrays
from tunecli.data.arrays.user_data import load_user_data
from tunecli.data.columns import cleaning
from tunecli.data.pictures.pictures import load_pictures, median_side
from tunecli.data.pictures.torchvision_sets import load_torchvision
from tunecli.data.rows.dataset import Column, Dataset
from tunecli.data.rows.positive_class import positive_class
from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.data.tables.tables import load_table, table_column_facts
from tunecli.errors import DataError
from tunecli.study_file.settings import source_kinds
from tunecli.study_file.settings.setting_types import SourceKind
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.settings.source_kinds import BUNDLED
from tunecli.study_file.starter import FirstLook, first_size

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


def _tensor(values: Any, dtype: type[np.generic]) -> Tensor:
    """Copy values to a new tensor: scikit-learn's arrays may be views or read-only."""
    return torch.from_numpy(np.array(values, dtype=dtype, order="C"))


_LOADERS: dict[SourceKind, Loader] = {
    "bundled": _load_bundled,
    "table": load_table,
    "arrays": load_arrays,
    "pictures": load_pictures,
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
    kind = source_kinds.kind_of(settings.source)
    if kind is None:
        raise DataError(
            source_kinds.unknown_source(settings.source, workspace.folder), "data.source"
        )
    return _LOADERS[kind](settings, validation or ValidationSettings(), workspace)


def first_look(
    source: str,
    target: str | None,
    workspace: Workspace,
    root: str | None = None,
    download: bool = False,
    reading: Mapping[str, Any] | None = None,
) -> FirstLook:
    """Read data as a study with only a source and a target would, and describe it.

    Args:
        source: its name as in a study file of the workspace's folder; a folder may lack its `/`.
        root: the folder of a torchvision data set.
        download: fetch that set if it is missing.
        reading: settings that decide how a table is read.

    Raises:
        DataError: the source is missing or cannot be used.
    """
    if source_kinds.kind_of(source) is None and (workspace.folder / source).is_dir():
        source = f"{source}/"
    kind = source_kinds.kind_of(source)
    if kind is None:
        raise DataError(source_kinds.unknown_source(source, workspace.folder))
    if kind in ("table", "arrays", "pictures"):
        missing = source_kinds.missing_file(source, workspace.folder, kind)
        if missing is not None:
            raise DataError(missing)
    if kind == "table" and target is None:
        raise DataError("a table needs --target with the name of the column to predict.")
    if kind == "torchvision" and root is None:
        raise DataError(
            f"{source} needs --root, the folder where torchvision stores it, and --download if it "
            "is not there yet."
        )
    if kind != "torchvision" and (root is not None or download):
        message = "--root and --download apply only to torchvision data sets"
        raise DataError(f"{message}, not to {source}.")
    if kind != "table" and reading:
        raise DataError(f"--set applies only to tables, not to {source}.")
    reading = reading or {}
    settings = DataSettings(source=source, target=target, root=root, download=download, **reading)
    median = None
    try:
        dataset = load_dataset(settings, workspace)
    except DataError as error:
        if kind != "pictures" or error.setting != "data.size":
            raise
        median = median_side(settings, workspace)  # the pictures differ in size
        settings = settings.model_copy(update={"size": first_size(median)})
        dataset = load_dataset(settings, workspace)
    shares = np.bincount(dataset.y.numpy()) / len(dataset.y) if dataset.classes else [0.0]
    positive = positive_class(dataset, torch.arange(len(dataset.y)), None)
    of_two = dataset.classes if positive is not None else ["", ""]
    return FirstLook(
        source=source,
        task=dataset.task,
        n_rows=len(dataset.y),
        shape=dataset.shape,
        n_classes=len(dataset.classes),
        commonest=float(max(shares)),
        has_test="test" in dataset.given,
        has_validation="validation" in dataset.given,
        target=target,
        median_side=median,
        root=root,
        download=download,
        in_order_of=_in_order_of(settings, workspace) if kind == "table" else "",
        reading=reading,
        common=of_two[1 - (positive or 0)],
        positive=of_two[positive or 0],
    )


def _in_order_of(settings: DataSettings, workspace: Workspace) -> str:
    """Return the first date column that sorts the rows of a table; empty if there is none."""
    facts = table_column_facts(settings, ValidationSettings(), workspace)
    return next((one.name for one in facts if one.is_in_order), "")
