"""Arrays that are ready: .npz, pairs of .npy, and .pt with tensors.

They are named `x` (or `X`) and `y`, and `x_test` and `y_test` for a test set of their own. Beside
`name_x.npy` or `x.npy` the targets are looked for in the file with `y` in its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os.path import isfile  # which takes any text for a path
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data import cleaning
from tunecli.data.array_files import arrays_in
from tunecli.data.array_forms import feature_array, shortest, target_array
from tunecli.data.column_kinds import Cells
from tunecli.data.dataset import Column, Dataset
from tunecli.data.flat_pictures import flat_pictures
from tunecli.data.kept_sets import kept_dataset
from tunecli.data.loaded_rows import LoadedRows
from tunecli.data.target_column import target
from tunecli.data.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.counts import count
from tunecli.study_file.settings import DataSettings, ValidationSettings
from tunecli.study_file.suggestions import listed

Array = NDArray[Any]


def load_arrays(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Read features and targets, and those of the test if there are any.

    Raises:
        DataError: if an array is missing, or of a shape or type that is no data.
    """
    files = _files(settings, workspace.folder)

    def read() -> Dataset:
        found = _read(settings, files)
        dataset = from_arrays(settings.source, found["x"], found["y"], settings)
        has_test = "x_test" in found and "y_test" in found and not _is_share(settings.test)
        return with_test(dataset, found, settings) if has_test else dataset

    asked = [_is_share(settings.test), settings.task]
    paths = list(files.values())
    return kept_dataset("arrays", settings.source, paths, asked, workspace, read)


def _is_share(test: float | str | None) -> bool:
    return test is not None and not isinstance(test, str)


def from_arrays(
    name: str, x: Array, y: Array, settings: DataSettings, names: Sequence[str] = ()
) -> Dataset:
    """A data set of features and targets that lie in memory.

    Args:
        name: of their source, for messages.
        x: (n_rows, n_features) numbers, or (n_rows, channels, height, width) pictures; pictures of
            one channel may lack that axis.
        y: (n_rows,) classes or numbers.
        settings: `task` is read.
        names: of the features; none for `x[0]`, `x[1]`, ….

    Raises:
        DataError: if the shapes or values do not fit.
    """
    x, y = shortest(feature_array(name, x)), target_array(name, y)
    if len(x) != len(y):
        message = f"{name} has {count(len(x), 'row')} of features, but {count(len(y), 'target')}."
        raise DataError(message, "data.source")
    x = x if x.flags.writeable else x.copy()  # as those of data frames are not
    dataset = with_targets(name, torch.from_numpy(x), y, settings)
    if x.ndim == 2:
        return _as_table(dataset, x, names or [f"x[{i}]" for i in range(x.shape[1])])
    hashes = [hashlib.sha256(picture).digest() for picture in x]
    flat = flat_pictures(x, len(set(hashes)))
    copies = cleaning.picture_copies(hashes, dataset.y.tolist())
    copies_or_none = None if copies is None else torch.from_numpy(copies)
    return replace(dataset, copies=copies_or_none, notes=tuple(flat.notes))


def with_targets(name: str, x: Tensor | LoadedRows, y: Array, settings: DataSettings) -> Dataset:
    """A data set of features as they are, and of what the targets mean.

    Args:
        y: (n_rows,) classes or numbers.
        settings: `task` is read.

    Raises:
        DataError: if the targets do not fit the task.
    """
    found = target(pd.Series(y, name="y"), settings.task, _where)
    return Dataset(
        name=name,
        task=found.task,
        x=x,
        y=torch.from_numpy(found.values),
        classes=found.classes,
        target=found.words,
    )


def with_test(dataset: Dataset, arrays: Mapping[str, Array], settings: DataSettings) -> Dataset:
    """The data set with the rows of `x_test` and `y_test` behind its own."""
    name = f"the test set of {dataset.name}"
    rows, targets = feature_array(name, arrays["x_test"]), target_array(name, arrays["y_test"])
    x, y = feature_array(dataset.name, arrays["x"]), target_array(dataset.name, arrays["y"])
    if rows.shape[1:] != x.shape[1:]:
        message = f"has rows of shape {rows.shape[1:]}, but those to train on {x.shape[1:]}."
        raise DataError(f"{name} {message}", "data.source")
    if (rows.dtype == np.uint8) != (x.dtype == np.uint8):
        ours, theirs = arrays["x"].dtype, arrays["x_test"].dtype
        message = f"has pictures of {theirs}, but those to train on are {ours}"
        raise DataError(f"{name} {message}. Save both with one type and range.", "data.source")
    whole = from_arrays(
        dataset.name,
        np.concatenate([x, rows]),
        np.concatenate([y, targets]),
        settings,
        [column.name for column in dataset.columns],
    )
    is_new = ~np.isin(whole.y[len(x) :].numpy(), whole.y[: len(x)].numpy())
    if whole.task == "classification" and is_new.any():
        row = int(is_new.argmax())
        which = whole.classes[int(whole.y[len(x) + row])]
        raise DataError(
            f"row {row} of {name} is of class {which!r}, which no row to train on has. Correct or "
            "remove it.",
            "data.test",
        )
    return replace(whole, given_test=torch.arange(len(x), len(x) + len(rows)))


def _as_table(dataset: Dataset, x: Array, names: Sequence[str]) -> Dataset:
    """Its columns are numbers, and all of them stay: a constant may be a token."""
    cells = [
        Cells(Column(name), values.astype(np.float64))
        for name, values in zip(names, x.T, strict=True)
    ]
    if not cleaning.without_idle_columns(cells)[0]:
        raise DataError(f"all features of {dataset.name} are constant.", "data.source")
    y = dataset.y.numpy()
    notes = cleaning.leaks(cells, y, dataset.task == "classification", "remove it from x")
    copies, on_copies = cleaning.copies(list(x.T), y)
    return replace(
        dataset,
        columns=tuple(c.column for c in cells),
        copies=None if copies is None else torch.from_numpy(copies),
        notes=(*notes, *on_copies),
    )


def _where(row: int) -> str:
    return f"row {row}"


# Files


def _files(settings: DataSettings, folder: Path) -> dict[str, Path]:
    """Where each array is; one file for all of them unless they are .npy.

    Raises:
        DataError: if one is not there.
    """
    features = folder / settings.source
    files = {"x": features}
    if features.suffix.lower() == ".npy":
        files["y"] = folder / settings.target if settings.target else _targets(features)
        named = folder / settings.test if isinstance(settings.test, str) else None
        test = named or _test_beside(features)
        if test is not None:
            files |= {"x_test": test, "y_test": _targets(test, "data.test")}
    settings_of = {"x": "data.source", "y": "data.target"}
    for name, path in files.items():
        if not isfile(path):
            message = f"there is no file {path.name!r} (looked for at {path})."
            raise DataError(message, settings_of.get(name, "data.test"))
    return files


def _read(settings: DataSettings, files: Mapping[str, Path]) -> dict[str, Array]:
    if files["x"].suffix.lower() == ".npy":
        return {name: arrays_in(file, settings.source)["x"] for name, file in files.items()}
    found = arrays_in(files["x"], settings.source)
    for wanted in ("x", "y"):
        if wanted not in found:
            raise DataError(_no_array(settings.source, wanted, found), "data.source")
    return found


def features_in(path: Path) -> Array:
    """The features in a file of arrays, whether or not targets stand beside them.

    Raises:
        DataError: it cannot be read, or has no `x` where there are several arrays.
    """
    found = arrays_in(path, path.name)
    if "x" not in found and len(found) != 1:
        raise DataError(_no_array(path.name, "x", found))
    return feature_array(path.name, found.get("x", next(iter(found.values()))))


def _no_array(name: str, wanted: str, found: Mapping[str, Array]) -> str:
    return f"{name} has no array {wanted!r}; it holds {listed(found) or 'nothing'}."


def _targets(features: Path, setting: str = "data.target") -> Path:
    """The file of targets that belongs to one of features, by its name.

    Raises:
        DataError: the name does not tell.
    """
    targets = _beside(features)
    if targets == features:
        name = features.name
        way = f"Write target: with the file of its targets, or call it {features.stem}_x.npy"
        if setting == "data.test":
            way = f"Call it {features.stem}_x.npy"
        raise DataError(
            f"{name} holds features alone, and its name has no x to tell that of its targets. "
            f"{way}, beside {features.stem}_y.npy.",
            setting,
        )
    return targets


def _beside(features: Path) -> Path:
    """`y.npy` of `x.npy`, `y_test.npy` of `x_test.npy`, `train_y.npy` of `train_x.npy`."""
    parts = features.stem.split("_")
    lower, same = (
        features.with_name("_".join(swap.get(part, part) for part in parts) + features.suffix)
        for swap in ({"x": "y", "X": "y"}, {"x": "y", "X": "Y"})
    )
    return same if same.is_file() and not lower.is_file() else lower


def _test_beside(features: Path) -> Path | None:
    path = features.with_name(f"{features.stem.removesuffix('_train')}_test{features.suffix}")
    targets = _beside(path)
    return path if path != targets and path.is_file() and targets.is_file() else None
