"""Load data that a user's function returns.

It returns (x, y), or (x, y, x_test, y_test), each an array, a tensor or a list; or a mapping with
these names; or a map-style torch `Dataset` of pairs (x, y), which is read whole or loaded batch by
batch. It is called with the arguments that the study file gives, once in every process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from tunecli import __version__
from tunecli.data.arrays.arrays import from_arrays, with_targets, with_test
from tunecli.data.cache.entries import NewArray, kept, key_of
from tunecli.data.columns.cell_values import collapsed
from tunecli.data.rows.array_forms import Array
from tunecli.data.rows.dataset import Dataset, first_features, first_targets
from tunecli.data.rows.hardware import main_memory
from tunecli.data.rows.loader_processes import n_loaders
from tunecli.data.rows.streamed_rows import DatasetItems, LoadedRows, as_array
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code.import_user_code import blaming, load_object
from tunecli.errors import DataError, UserCodeError
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.text.counts import count

_NAMES = ("x", "y", "x_test", "y_test")

SHARE = 8
"""A data set is read whole if it needs at most 1 / SHARE of the memory: each worker reads its own
copy.
"""


def load_user_data(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Call the function and make a data set of what it returns.

    Raises:
        UserCodeError: it raises, or returns anything but data.
        DataError: the arrays have a shape or type that is not that of data.
    """
    function = load_object(settings.source)
    with blaming(settings.source):
        returned = function(**settings.arguments)
    if isinstance(returned, TorchDataset):
        return _of_items(DatasetItems(settings.source, returned), settings, workspace)
    arrays = _arrays(returned, settings.source)
    if arrays is None:
        rule = "must return (x, y), a mapping with x and y, or a torch Dataset of such pairs"
        raise UserCodeError(f"{settings.source} {rule}, but returned {type(returned).__name__}.")
    if settings.in_memory is False:
        message = f"false needs a torch Dataset, but {settings.source} returned data in memory"
        raise DataError(f"{message}. Remove the setting.", "data.in_memory")
    names = _column_names(returned, settings.source)
    dataset = from_arrays(settings.source, arrays["x"], arrays["y"], settings, names)
    if isinstance(settings.test, float | int) or not {"x_test", "y_test"} <= arrays.keys():
        return dataset
    return with_test(dataset, arrays, settings)


def is_read_whole(n_bytes: int, in_memory: bool | str, n_memory: int) -> bool:
    """Return whether a data set of `n_bytes` is read whole.

    Args:
        in_memory: the setting; `auto` decides.
        n_memory: the bytes of main memory.
    """
    return bool(in_memory) if isinstance(in_memory, bool) else n_bytes * SHARE <= n_memory


def _of_items(items: DatasetItems, settings: DataSettings, workspace: Workspace) -> Dataset:
    """Read a torch data set whole or batch by batch, with a note on which and why."""
    is_whole = is_read_whole(items.n_bytes, settings.in_memory, main_memory())
    if is_whole and items.n_bytes > main_memory():
        needed = f"needs {_bytes(items.n_bytes)}, but this machine has {_bytes(main_memory())}"
        message = f"{settings.source} {needed} of memory. Write false to load it batch by batch."
        raise DataError(message, "data.in_memory")
    if is_whole:
        dataset = from_arrays(settings.source, *items.pairs(), settings)
        how = "is read into memory"
    else:
        x = LoadedRows(items, n_loaders())
        dataset = _loaded(x, settings, workspace)
        loaders = f"{count(x.n_loaders, 'loader process', 'loader processes')} per worker"
        how = f"is loaded batch by batch by {loaders if x.n_loaders else 'each worker itself'}"
    note = f"{settings.source} {how}, as set by data.in_memory."
    if settings.in_memory == "auto":
        than = "at most" if is_whole else "more than"
        share = f"{than} an eighth of this machine's {_bytes(main_memory())} of memory"
        note = f"{settings.source} {how}: it needs {_bytes(items.n_bytes)}, {share}."
    return replace(dataset, notes=(*dataset.notes, note))


def _loaded(x: LoadedRows, settings: DataSettings, workspace: Workspace) -> Dataset:
    """Make a data set whose features are not read into memory.

    Its fingerprint covers the function's code and arguments, the number of items, all targets and
    the features of at most 64 items. Changes to the features of other items are not noticed, nor
    changes to targets in files that are read with the items, unless the 64 items show them.
    """
    sample = x.sample_rows()
    digest, first_digest = hashlib.sha256(), hashlib.sha256()
    for part in x.batches(torch.tensor(sample), [1] * len(sample)):
        digest.update(part.numpy().tobytes())
        first_digest.update(first_features(part).numpy().tobytes())
    name = CodeName.parse(x.source)
    code = None if name is None else workspace.code.hash_of(name)
    first_code = None if name is None or code is None else workspace.code.first_hash_of(name)
    about = [settings.arguments, x.shape]
    rest = [*about, str(x.dtype), digest.hexdigest()]
    first_dtype = first_features(torch.empty(0, *x.shape[1:], dtype=x.dtype)).dtype
    first_rest = [*about, str(first_dtype), first_digest.hexdigest()]

    def make(new: NewArray) -> Mapping[str, Any]:
        y = x.targets()
        new("y", y.shape, y.dtype)[...] = y
        return {}

    y = kept(workspace.cache, key_of("targets", [code, *rest], __version__), make).arrays["y"]
    dataset = with_targets(x.source, x, y, settings)
    return replace(  # the code itself is compared with the study's
        dataset,
        known_fingerprint=_hash([first_code, *rest], dataset.classes, dataset.y),
        known_first=_hash([first_code, *first_rest], dataset.classes, first_targets(dataset.y)),
    )


def _hash(seen: Sequence[object], classes: Sequence[str], y: Tensor) -> str:
    known = hashlib.sha256(f"{list(seen)} {list(classes)}".encode())
    known.update(y.numpy().tobytes())
    return known.hexdigest()


def _named(returned: Any) -> dict[str, Any]:
    """Return the returned values by name; empty if they are not data."""
    if isinstance(returned, Mapping):
        return {str(key).replace("X", "x"): value for key, value in returned.items()}
    if isinstance(returned, list | tuple) and len(returned) in (2, 4):
        return dict(zip(_NAMES, returned, strict=False))
    return {}


def _column_names(returned: Any, source: str) -> list[str]:
    """Return the column names of features in a DataFrame; empty for other features.

    Raises:
        DataError: two columns have one name, or the test set has other columns.
    """
    named = _named(returned)
    x, test = named.get("x"), named.get("x_test")
    if not isinstance(x, pd.DataFrame) or isinstance(x.columns, pd.RangeIndex):
        return []
    names = list(map(str, x.columns))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        message = f"the features of {source} have two columns named {twice!r}. Rename one."
        raise DataError(message, "data.source")
    if isinstance(test, pd.DataFrame) and list(map(str, test.columns)) != names:
        message = f"x and x_test of {source} must have the same columns in the same order"
        raise DataError(f"{message}. Write x_test[x.columns].", "data.source")
    return names


def _arrays(returned: Any, source: str) -> dict[str, Array] | None:
    """Return features and targets by name; None if they are missing."""
    arrays = {}
    for name, given in _named(returned).items():
        if name in _NAMES and given is not None:
            if isinstance(given, pd.DataFrame) and name.startswith("x"):
                arrays[name] = _frame_array(given, source)
                continue
            with blaming(source):
                arrays[name] = as_array(given)
    return arrays if {"x", "y"} <= arrays.keys() else None


def _frame_array(frame: pd.DataFrame, source: str) -> Array:
    """Return the columns of a data frame as one array; NaN where a cell is missing.

    Args:
        source: the name of the function in messages.

    Raises:
        DataError: a column does not hold numbers, or float64 would merge distinct numbers.
    """
    for name, column in frame.items():
        if not pd.api.types.is_numeric_dtype(column.dtype):
            raise DataError(
                f"column {str(name)!r} of {source} has {column.dtype} cells, but a function must "
                "return numbers. Convert the column to numbers, or save the table as .parquet or "
                ".csv and use that file as the source.",
                "data.source",
            )
    values: Array = frame.to_numpy()
    if values.dtype == object:  # whole numbers with gaps, or Booleans mixed with numbers
        values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    if values.dtype.kind == "f":
        _refuse_collapse(frame, values, source)
    return values


def _refuse_collapse(frame: pd.DataFrame, values: Array, source: str) -> None:
    for (name, column), numbers in zip(frame.items(), values.T, strict=True):
        if (row := collapsed(column.reset_index(drop=True), numbers)) is not None:
            raise DataError(
                f"column {str(name)!r} of {source} has whole numbers beyond 2^53, such as "
                f"{column.iloc[row]} in row {row}, and float64 cannot tell some of them apart. "
                "Remove the column, or number its values from 0.",
                "data.source",
            )


def _bytes(n: int) -> str:
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 / 10 else f"{n / 2**20:.1f} MiB"
