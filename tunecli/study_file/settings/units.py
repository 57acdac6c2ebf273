"""Limits as a study file writes them, and costs as people read them: `5 ms`, `200 KB`."""

from __future__ import annotations

import math
import re
from typing import Any

_UNITS: dict[str, dict[str, float]] = {
    "latency": {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6},
    "size": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9},
}
"""By metric: the factor of each unit; the first is the one in which it is measured."""

NOT_DEFINED = "not defined"
"""Stands for a value that is NaN or infinite: a metric of rows that it does not measure."""

_TEXT = re.compile(r"([0-9.]+(?:e[+-]?[0-9]+)?) *([A-Za-zµ]+)")


def in_base_unit(written: Any, metric: str) -> Any:
    """The number that a text means for a metric; what is none stays as it is, for others to judge.

    Sizes are decimal, as files are listed: 200KB is 200,000 bytes.
    """
    units = _UNITS.get(metric)
    match = _TEXT.fullmatch(written.strip()) if isinstance(written, str) and units else None
    if units is None or match is None or match[2] not in units:
        return float(written) if _is_whole(written) else written
    try:
        return float(match[1]) * units[match[2]]
    except ValueError:  # `1.2.3ms`
        return written


def _is_whole(written: Any) -> bool:
    return isinstance(written, int) and not isinstance(written, bool)


def with_unit(metric: str, value: float, digits: int = 4) -> str:
    """Write a value of a metric with its unit, or `NOT_DEFINED`."""
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
    """In which it is measured; empty for a number without a unit."""
    return next(iter(_UNITS.get(metric, {"": 1.0})))


def unit_for(metric: str, value: float) -> tuple[str, float]:
    """The largest unit of a metric that is no larger than a value, and its factor."""
    units = _UNITS[metric]
    return max(
        ((name, factor) for name, factor in units.items() if factor <= abs(value)),
        key=lambda unit: unit[1],
        default=min(units.items(), key=lambda unit: unit[1]),
    )
