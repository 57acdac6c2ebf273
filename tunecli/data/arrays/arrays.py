"""Load files of arrays: .npz, pairs of .npy, and .pt with tensors. Code in them is never run.

They are named `x` (or `X`) and `y`, and `x_test` and `y_test` for a separate test set. The targets
of `name_x.npy` or `x.npy` are in the file of the same folder with `y` in place of `x`.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os.path import isfile  # which takes any text for a path
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tunecli.data.cache.cached_datasets import kept_dataset
from tunecli.data.columns import cleaning
from tunecli.data.columns.column_cells import Cells
from tunecli.data.columns.named_columns import target
from tunecli.data.pictures.picture_sets import flat_pictures
from tunecli.data.rows.array_forms import (
    Array,
    feature_array,
    smallest_dtype,
    target_array,
    tensor_array,
)
from tunecli.data.rows.dataset import Column, Dataset
from tunecli.data.rows.hardware import main_memory
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import listed

_WAYS = {
    ".npy": "numpy.save({name!r}, x)",
    ".npz": "numpy.savez({name!r}, x=x, y=y)",
    ".pt": "torch.save({{'x': x, 'y': y}}, {name!r})",
}
"""Calls that write a file of each kind."""

_NAMES = ("x", "y", "x_test", "y_test")


def load_arrays(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Read features and targets, and those of the test set if there is one.

    Raises:
        DataError: an array is missing, or its shape or type is not that of data.
    """
    files = _files(settings, workspace.folder)

    def read() -> Dataset:
        arrays = _read(settings, files)
        dataset = from_arrays(settings.source, arrays["x"], arrays["y"], settings)
        has_test = "x_test" in arrays and "y_test" in arrays and not _is_share(settings.test)
        return with_test(dataset, arrays, settings) if has_test else dataset

    asked = [_is_share(settings.test), settings.task]
    paths = list(files.values())
    return kept_dataset("arrays", settings.source, paths, asked, workspace, read)


def _is_share(test: float | str | None) -> bool:
    return test is not None and not isinstance(test, str)


def from_arrays(
    name: str, x: Array, y: Array, settings: DataSettings, names: Sequence[str] = ()
) -> Dataset:
    """Make a data set of features and targets in memory.

    Args:
        name: the name of their source in messages.
        x: (n_rows, n_features) numbers, or (n_rows, channels, height, width) pictures; pictures of
            one channel may lack that axis.
        y: (n_rows,) classes or numbers.
        settings: the settings; `task` is read.
        names: the names of the features; empty for `x[0]`, `x[1]`, ….

    Raises:
        DataError: the shapes or values do not fit.
    """
    x, y = smallest_dtype(feature_array(name, x)), target_array(name, y)
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
    """Make a data set of features and targets, reading the targets as classes or numbers.

    Args:
        y: (n_rows,) classes or numbers.
        settings: the settings; `task` is read.

    Raises:
        DataError: the targets do not fit the task.
    """
    read_target = target(pd.Series(y, name="y"), settings.task, _where)
    return Dataset(
        name=name,
        task=read_target.task,
        x=x,
        y=torch.from_numpy(read_target.values),
        classes=read_target.classes,
        target=read_target.words,
    )


def with_test(dataset: Dataset, arrays: Mapping[str, Array], settings: DataSettings) -> Dataset:
    """Append the rows of `x_test` and `y_test` to the data set, as its test set."""
    name = f"the test set of {dataset.name}"
    rows, targets = feature_array(name, arrays["x_test"]), target_array(name, arrays["y_test"])
    x, y = feature_array(dataset.name, arrays["x"]), target_array(dataset.name, arrays["y"])
    if rows.shape[1:] != x.shape[1:]:
        message = f"has rows of shape {rows.shape[1:]}, but the training rows have {x.shape[1:]}."
        raise DataError(f"{name} {message}", "data.source")
    if (rows.dtype == np.uint8) != (x.dtype == np.uint8):
        ours, theirs = arrays["x"].dtype, arrays["x_test"].dtype
        message = f"has pictures of {theirs}, but the training pictures are {ours}"
        raise DataError(f"{name} {message}. Use the same type and range for both.", "data.source")
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
            f"row {row} of {name} has class {which!r}, which no training row has. Correct or "
            "remove it.",
            "data.test",
        )
    return replace(whole, given_test=torch.arange(len(x), len(x) + len(rows)))


def _as_table(dataset: Dataset, x: Array, names: Sequence[str]) -> Dataset:
    """Give the data set columns of numbers; constant ones stay, since they may be tokens."""
    cells = [
        Cells(Column(name), values.astype(np.float64))
        for name, values in zip(names, x.T, strict=True)
    ]
    if not cleaning.without_idle_columns(cells)[0]:
        raise DataError(f"all features of {dataset.name} are constant.", "data.source")
    y = dataset.y.numpy()
    notes = cleaning.leaks(cells, y, dataset.task == "classification", "remove it from x")
    copies, on_copies = cleaning.duplicate_rows(list(x.T), y)
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
    """Return the file of each array; one file for all of them unless they are .npy.

    Raises:
        DataError: a file does not exist.
    """
    features = folder / settings.source
    files = {"x": features}
    if features.suffix.lower() == ".npy":
        files["y"] = folder / settings.target if settings.target else _targets(features)
        named = folder / settings.test if isinstance(settings.test, str) else None
        test = named or _test_file(features)
        if test is not None:
            files |= {"x_test": test, "y_test": _targets(test, "data.test")}
    settings_of = {"x": "data.source", "y": "data.target"}
    for name, path in files.items():
        if not isfile(path):
            message = f"file {path.name!r} does not exist (looked for at {path})."
            raise DataError(message, settings_of.get(name, "data.test"))
    return files


def _read(settings: DataSettings, files: Mapping[str, Path]) -> dict[str, Array]:
    if files["x"].suffix.lower() == ".npy":
        return {name: _arrays_in(file, settings.source)["x"] for name, file in files.items()}
    arrays = _arrays_in(files["x"], settings.source)
    for wanted in ("x", "y"):
        if wanted not in arrays:
            raise DataError(_no_array(settings.source, wanted, arrays), "data.source")
    return arrays


def features_in(path: Path) -> Array:
    """Read the features in a file of arrays, with or without targets.

    Raises:
        DataError: the file cannot be read, or has several arrays but no `x`.
    """
    arrays = _arrays_in(path, path.name)
    if "x" not in arrays and len(arrays) != 1:
        raise DataError(_no_array(path.name, "x", arrays))
    return feature_array(path.name, arrays.get("x", next(iter(arrays.values()))))


def _no_array(name: str, wanted: str, arrays: Mapping[str, Array]) -> str:
    return f"{name} has no array {wanted!r}; it contains {listed(arrays) or 'nothing'}."


def _targets(features: Path, setting: str = "data.target") -> Path:
    """Return the file of targets that belongs to a file of features, by its name.

    Raises:
        DataError: the name of the features has no `x`.
    """
    targets = _targets_file(features)
    if targets == features:
        name = features.name
        pair = f"{features.stem}_x.npy and store the targets in {features.stem}_y.npy"
        way = f"Set data.target to the file with the targets, or rename {name} to {pair}"
        if setting == "data.test":
            way = f"Rename {name} to {pair}"
        raise DataError(
            f"{name} contains only features. The file with the targets must have the same name, "
            f"with y in place of x, but this name has no x. {way}.",
            setting,
        )
    return targets


def _targets_file(features: Path) -> Path:
    """Return `y.npy` for `x.npy`, `y_test.npy` for `x_test.npy`, `b_y.npy` for `b_x.npy`."""
    parts = features.stem.split("_")
    lower, same = (
        features.with_name("_".join(swap.get(part, part) for part in parts) + features.suffix)
        for swap in ({"x": "y", "X": "y"}, {"x": "y", "X": "Y"})
    )
    return same if same.is_file() and not lower.is_file() else lower


def _test_file(features: Path) -> Path | None:
    path = features.with_name(f"{features.stem.removesuffix('_train')}_test{features.suffix}")
    targets = _targets_file(path)
    return path if path != targets and path.is_file() and targets.is_file() else None


def _arrays_in(path: Path, name: str) -> dict[str, Array]:
    """Read all arrays of a file by name; that of a .npy file is `x`, and `X` counts as `x`.

    Args:
        name: the name of the file in messages.

    Raises:
        DataError: the file cannot be read, or contains anything but arrays.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of tensors that are refused here
            content = _content(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{name} cannot be read: {reason}.", "data.source") from None
    except MemoryError:
        raise DataError(f"{name} does not fit into memory.", "data.source") from None
    except Exception:  # on foreign bytes the readers may raise anything
        raise DataError(_no_arrays(path, name), "data.source") from None
    arrays = {key: _array(value, key, name) for key, value in _named(content, path, name).items()}
    return {("x" + key[1:] if key[:1] == "X" else key): array for key, array in arrays.items()}


def _content(path: Path) -> Any:
    if zipfile.is_zipfile(path):  # as .npz and .pt are; they may unpack to much more
        with zipfile.ZipFile(path) as members:
            if sum(member.file_size for member in members.infolist()) > main_memory():
                raise MemoryError
    if path.suffix.lower() == ".pt":
        return torch.load(path, map_location="cpu", weights_only=True)
    with path.open("rb") as file:  # numpy would leave a damaged archive open
        content = np.load(file, allow_pickle=False)
        return content if isinstance(content, np.ndarray) else dict(content)


def _named(content: Any, path: Path, name: str) -> Mapping[str, Array | Tensor]:
    if path.suffix.lower() == ".npy":
        if not isinstance(content, np.ndarray):
            raise DataError(_no_arrays(path, name), "data.source")
        return {"x": content}
    if isinstance(content, list | tuple) and len(content) in (2, 4):
        content = dict(zip(_NAMES, content, strict=False))
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        rule = f"must contain arrays by name, or the pair (x, y), but contains one {kind}"
        raise DataError(f"{name} {rule}. {_way(path)}", "data.source")
    return {
        str(key): value for key, value in content.items() if isinstance(value, np.ndarray | Tensor)
    }


def _array(value: Array | Tensor, key: str, name: str) -> Array:
    if isinstance(value, np.ndarray):
        return value
    try:
        return tensor_array(value)
    except ValueError as error:
        raise DataError(f"{key} in {name}: {error}", "data.source") from None


def _no_arrays(path: Path, name: str) -> str:
    with path.open("rb") as file:
        start = file.read(1000)
    what = f"is not a {path.suffix} file of plain arrays, or is damaged"
    if not start:
        what = "is empty"
    elif start.isascii() and all(c.isprintable() or c.isspace() for c in start.decode()):
        what = f"is text, not {path.suffix}; a table must be named .csv"
    return f"{name} {what}. {_way(path)}"


def _way(path: Path) -> str:
    return f"Write it with {_WAYS[path.suffix.lower()].format(name=path.name)}."
