"""Read files of arrays: .npy, .npz and .pt with tensors. Code in them is never run."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunecli.data.rows.array_forms import Array, tensor_array
from tunecli.data.rows.hardware import main_memory
from tunecli.errors import DataError

_WAYS = {
    ".npy": "numpy.save({name!r}, x)",
    ".npz": "numpy.savez({name!r}, x=x, y=y)",
    ".pt": "torch.save({{'x': x, 'y': y}}, {name!r})",
}
"""Calls that write a file of each kind."""

_NAMES = ("x", "y", "x_test", "y_test")


def arrays_in(path: Path, name: str) -> dict[str, Array]:
    """Read all arrays of a file by name; that of a .npy file is `x`, and `X` counts as `x`.

    Args:
        name: the name of the file in messages.

    Raises:
        DataError: the file cannot be read, or contains anything but arrays.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of tensors that are refused here
            content = _read(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{name} cannot be read: {reason}.", "data.source") from None
    except MemoryError:
        raise DataError(f"{name} does not fit into memory.", "data.source") from None
    except Exception:  # on foreign bytes the readers may raise anything
        raise DataError(_no_arrays(path, name), "data.source") from None
    arrays = {key: _array(value, key, name) for key, value in _named(content, path, name).items()}
    return {("x" + key[1:] if key[:1] == "X" else key): array for key, array in arrays.items()}


def _read(path: Path) -> Any:
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
