"""Bounds on the size of numbers: their squares must fit into 64 bits.

Means and standard deviations are computed from squares. Those of numbers beyond these bounds
overflow, or become 0, and a column or a score would be silently wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError

Floats = NDArray[np.float64]
Where = Callable[[int], str]

LARGEST = 1e150
"""Largest feature: squares in 64 bits end at 1.8e308."""
LARGEST_TARGET = 1e75
"""Largest target: a squared error must not exceed the largest score, 1e150."""
SMALLEST = 1e-150
"""Smallest spread of a column: squares of differences must be above 2.2e-308."""


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
        message = f"the numbers of column {name!r} reach only {largest:g}"
        raise DataError(f"{message}, but at least {SMALLEST:g} is needed. {_UNIT}", "data.source")


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
        raise DataError(f"{message}, but at least {SMALLEST:g} is needed. {_UNIT}", "data.target")


def _too_large(what: str, value: float, largest: float, row: str) -> str:
    return f"{what} is {value:g} in {row}, but must be at most {largest:g}. {_UNIT}"


_UNIT = "Use another unit."
