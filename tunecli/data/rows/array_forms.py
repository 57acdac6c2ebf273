"""Check that arrays can be features or targets, and bring them to one form.

Means and standard deviations are computed from squares, which must fit into 64 bits. Those of
numbers beyond these bounds overflow, or become 0, and a column or a score would be silently wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.rows.hardware import gib, main_memory
from tunecli.errors import DataError

Array = NDArray[Any]
Floats = NDArray[np.float64]
Where = Callable[[int], str]

LARGEST = 1e150
"""Largest feature: squares in 64 bits end at 1.8e308."""
LARGEST_TARGET = 1e75
"""Largest target: a squared error must not exceed the largest score, 1e150."""
SMALLEST = 1e-150
"""Smallest spread of a column: squares of differences must be above 2.2e-308."""
_UNIT = "Use another unit."

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
        f"{form} numbers need {gib(needed)}, but this machine has {gib(main_memory())} of memory. "
        "Use fewer rows."
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


def check_feature(name: str, values: Floats, where: Where) -> None:
    """Refuse a column of numbers whose scale cannot be computed.

    Args:
        values: (n_rows,); NaN is missing.

    Raises:
        DataError: a number is too large, or all of them are too small.
    """
    sizes = np.abs(values)
    if (sizes > LARGEST).any():
        row = int((sizes > LARGEST).argmax())
        text = _too_large(f"column {name!r}", values[row], LARGEST, where(row))
        raise DataError(text, "data.source")
    largest = sizes.max(initial=0.0, where=~np.isnan(sizes))
    if 0 < largest < SMALLEST:
        message = f"the largest absolute value of column {name!r} is {largest:g}"
        raise DataError(f"{message}, but must be at least {SMALLEST:g}. {_UNIT}", "data.source")


def check_target(name: str, values: Floats, where: Where) -> None:
    """Refuse targets that cannot be standardized, or whose errors cannot be measured.

    Args:
        values: (n_rows,), finite.

    Raises:
        DataError: a target is too large, or all of them are nearly equal.
    """
    sizes = np.abs(values)
    if (sizes > LARGEST_TARGET).any():
        row = int((sizes > LARGEST_TARGET).argmax())
        text = _too_large(f"the target {name!r}", values[row], LARGEST_TARGET, where(row))
        raise DataError(text, "data.target")
    spread = float(np.ptp(values))
    if spread == 0:
        message = f"the target {name!r} is {values[0]:g} in all rows"
        raise DataError(f"{message}: there is nothing to predict.", "data.target")
    if spread < SMALLEST:
        message = f"the values of the target {name!r} differ by at most {spread:g}"
        wanted = f"but must differ by at least {SMALLEST:g}"
        raise DataError(f"{message}, {wanted}. {_UNIT}", "data.target")


def _too_large(what: str, value: float, largest: float, row: str) -> str:
    return f"{what} is {value:g} in {row}, but must be at most {largest:g}. {_UNIT}"
