"""Read limits and write costs with units: `5 ms`, `200 KB`."""

from __future__ import annotations

import math
import re
from typing import Any

_UNITS: dict[str, dict[str, float]] = {
    "latency": {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6},
    "size": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9},
}
"""Factor of each unit, by metric; values are measured in the first unit."""

NOT_DEFINED = "not defined"
"""Text for a value that is NaN or infinite: the rows do not define the metric."""

_TEXT = re.compile(r"([0-9.]+(?:e[+-]?[0-9]+)?) *([A-Za-zµ]+)")


def in_base_unit(written: Any, metric: str) -> Any:
    """Return the number of a string with a unit; return other values unchanged, for validation.

    Sizes are decimal: 200KB is 200,000 bytes.
    """
    units = _UNITS.get(metric)
    match = _TEXT.fullmatch(written.strip()) if isinstance(written, str) and units else None
    if units is None or match is None or match[2] not in units:
        return float(written) if type(written) is int else written
    try:
        return float(match[1]) * units[match[2]]
    except ValueError:  # `1.2.3ms`
        return written


def with_unit(metric: str, value: float, digits: int = 4) -> str:
    """Return a value of a metric as text with its unit, or `NOT_DEFINED`."""
    if not math.isfinite(value):
        return NOT_DEFINED
    units = _UNITS.get(metric)
    if units is None:
        return (
            f"{value:,.0f}"
            if value == int(value) and abs(value) >= 1000
            else f"{value:.{digits}g}"
        )
    name, factor = unit_for(metric, value)
    return f"{value / factor:.{digits}g} {name}"


def base_unit(metric: str) -> str:
    """Return the unit in which a metric is measured; empty without a unit."""
    return next(iter(_UNITS.get(metric, {"": 1.0})))


def unit_for(metric: str, value: float) -> tuple[str, float]:
    """Return the largest unit of a metric that is not larger than a value, and its factor."""
    units = _UNITS[metric]
    return max(
        ((name, factor) for name, factor in units.items() if factor <= abs(value)),
        key=lambda unit: unit[1],
        default=min(units.items(), key=lambda unit: unit[1]),
    )
