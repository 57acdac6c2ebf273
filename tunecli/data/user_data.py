"""Data that a function of the user's own returns.

It returns (x, y), or (x, y, x_test, y_test), each an array, a tensor or a list; or a mapping with
these names; or a map-style torch `Dataset` of pairs (x, y), whose rows are read once. It is called
with the arguments that the study file gives, once in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from tunecli.data.arrays import from_arrays, with_test
from tunecli.data.dataset import Dataset
from tunecli.data.user_code import blaming, load_object
from tunecli.data.workspace import Workspace
from tunecli.errors import DataError, UserCodeError
from tunecli.study_file.settings import DataSettings, ValidationSettings

Array = NDArray[Any]

_NAMES = ("x", "y", "x_test", "y_test")


def load_user_data(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Call the function and take what it returns.

    Raises:
        UserCodeError: it raises, or returns something else than data.
        DataError: the arrays are of a shape or type that is no data.
    """
    function = load_object(settings.source)
    with blaming(settings.source):
        returned = function(**settings.arguments)
        found = _arrays(returned)
    if found is None:
        rule = "must return (x, y), a mapping with x and y, or a torch Dataset of such pairs"
        raise UserCodeError(f"{settings.source} {rule}, but returned {type(returned).__name__}.")
    dataset = from_arrays(settings.source, found["x"], found["y"], settings)
    if isinstance(settings.test, float | int) or not {"x_test", "y_test"} <= found.keys():
        return dataset
    return with_test(dataset, found, settings)


def _arrays(returned: Any) -> dict[str, Array] | None:
    """Features and targets by name; None if they are not there."""
    if isinstance(returned, TorchDataset):
        returned = _rows(returned)
    if isinstance(returned, Mapping):
        named = {str(key).replace("X", "x"): value for key, value in returned.items()}
    elif isinstance(returned, list | tuple) and len(returned) in (2, 4):
        named = dict(zip(_NAMES, returned, strict=False))
    else:
        return None
    found = {name: _array(named[name]) for name in _NAMES if named.get(name) is not None}
    return found if {"x", "y"} <= found.keys() else None


def _rows(dataset: TorchDataset[Any]) -> tuple[Array, Array]:
    """All rows of a map-style data set, which fit into memory or MemoryError is raised."""
    n_rows = len(dataset)  # type: ignore[arg-type]  # map-style sets have a length
    if not n_rows:
        raise DataError("the torch Dataset has no rows.", "data.source")
    first, _ = dataset[0]
    x = np.empty((n_rows, *_array(first).shape), dtype=_array(first).dtype)
    targets = []
    for row in range(n_rows):
        features, target = dataset[row]
        x[row] = _array(features)
        targets.append(_array(target)[()])
    return x, np.array(targets)


def _array(values: Any) -> Array:
    if isinstance(values, Tensor):
        return values.numpy(force=True)
    return np.asarray(values)
