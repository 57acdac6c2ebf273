"""Check that arrays can be features or targets, and bring them to one form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.rows.hardware import main_memory
from tunecli.data.rows.magnitudes import LARGEST
from tunecli.errors import DataError

Array = NDArray[Any]

_IN_TABLE = 16
"""Bytes per number of a table, which is held by rows and, during inspection, also by columns."""

_SHARED = (torch.float64, torch.float32, torch.float16)
"""Floating types that numpy also has."""
MOST_WHOLE = 2**63 - 1
MOST_ROWS = 100_000_000
"""Largest number of rows of a data set; a table with more is refused before it is read."""


def tensor_array(tensor: Tensor) -> Array:
    """Convert a tensor to an array; floating types that numpy lacks, such as bfloat16, to float32.

    Raises:
        ValueError: it is sparse, quantized, or larger than the memory; with a remedy.
    """
    if tensor.layout != torch.strided:
        raise ValueError("a sparse tensor is not a plain array. Make it dense with to_dense().")
    if tensor.is_quantized:
        raise ValueError("a quantized tensor is not a plain array. Convert it with dequantize().")
    if tensor.is_floating_point() and tensor.dtype not in _SHARED:
        if mistake := beyond_memory(tuple(tensor.shape), 4):
            raise ValueError(mistake)
        tensor = tensor.float()
    return tensor.numpy(force=True)


def beyond_memory(shape: tuple[int, ...], n_bytes: int) -> str | None:
    """Return a message if numbers of `n_bytes` each do not fit into memory; else None.

    A file of a few bytes may unpack to billions of numbers: by a stride of zero, or compression.
    """
    needed = math.prod(shape) * n_bytes
    if needed <= main_memory():
        return None
    form = " × ".join(f"{side:,}" for side in shape)
    return (
        f"{form} numbers need {needed / 2**30:,.1f} GiB, but this machine has "
        f"{main_memory() / 2**30:,.1f} GiB of memory. Use fewer rows."
    )


def feature_array(name: str, x: Array) -> Array:
    """Return features as (n, n_features) or (n, channels, height, width), without loss of digits.

    Returns:
        int64 for whole numbers, except that pictures of bytes stay bytes; float64 for other
        numbers, except that pictures of at most 32 bits become float32.

    Raises:
        DataError: they are not numbers, of another shape, infinite, or larger than the memory.
    """
    if x.dtype.kind not in "biuf":
        message = f"the features of {name} must be numbers, but are {x.dtype}."
        raise DataError(message, "data.source")
    if x.ndim == 3:
        x = x[:, np.newaxis]
    if x.ndim not in (2, 4) or 0 in x.shape:
        shape = " × ".join(map(str, x.shape)) or "one number"
        rule = "must be (rows, features) or (rows, channels, height, width)"
        raise DataError(f"the features of {name} {rule}, but are {shape}.", "data.source")
    if mistake := beyond_memory(x.shape, _IN_TABLE if x.ndim == 2 else x.itemsize):
        raise DataError(f"{name}: {mistake}", "data.source")
    if x.ndim == 4 and x.dtype == np.uint8:
        return np.ascontiguousarray(x)
    if x.dtype.kind in "iu":
        if x.dtype == np.uint64:
            _refuse(x > MOST_WHOLE, f"the features of {name} are beyond {MOST_WHOLE:,}")
        return np.ascontiguousarray(x, dtype=np.int64)
    wrong = np.isinf(x) if x.ndim == 2 else ~np.isfinite(x)
    _refuse(wrong, f"the features of {name} are not finite")
    if x.itemsize > 4:
        _refuse(np.abs(x) > LARGEST, f"the features of {name} are beyond {LARGEST:g}")
    is_long = x.ndim == 2 or x.itemsize > 4
    return np.ascontiguousarray(x, dtype=np.float64 if is_long else np.float32)


def _refuse(wrong: NDArray[np.bool_], rule: str) -> None:
    if wrong.any():
        row = int(wrong.reshape(len(wrong), -1).any(axis=1).argmax())
        raise DataError(f"{rule} in row {row}.", "data.source")


def smallest_dtype(x: Array) -> Array:
    """Return pictures in 32 bits if these hold every value exactly; anything else unchanged."""
    if x.ndim != 4 or x.dtype != np.float64:
        return x
    with np.errstate(over="ignore"):
        short = x.astype(np.float32)
    return short if np.array_equal(short, x) else x


def target_array(name: str, y: Array) -> Array:
    """Return targets as (n,).

    Raises:
        DataError: they are neither numbers nor texts, or a row has several.
    """
    y = y.squeeze(1) if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or y.dtype.kind not in "biufUS":
        shape = " × ".join(map(str, y.shape))
        rule = "must be one number or text per row"
        message = f"the targets of {name} {rule}, but are {shape} of {y.dtype}."
        raise DataError(message, "data.source")
    return y
