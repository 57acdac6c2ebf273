"""Durations in a study file: seconds, or `2h`, `90m`, `1h30m`, `45s`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

LONGEST = 10 * 365 * 24 * 3600
"""Ten years in seconds, since clocks cannot wait for ever."""

PATTERN = r" *(?:([0-9.]+h) *)?(?:([0-9.]+m) *)?([0-9.]+s)?"
"""Pattern of a duration; runs of spaces cannot overlap, so many spaces are matched in one pass."""

_TEXT = re.compile(PATTERN)


def _to_seconds(written: Any) -> Any:
    """Return the seconds of a string; leave other values to pydantic."""
    value = _seconds(written) if isinstance(written, str) else written
    if isinstance(value, int | float) and value > LONGEST:
        raise PydanticCustomError("too_long", "at most ten years, 87600h")
    return value


def _seconds(text: str) -> float:
    match = _TEXT.fullmatch(text)
    try:
        parts = [float((part or "0")[:-1] or 0) for part in match.groups()] if match else []
    except ValueError:  # `1.2.3h`
        parts = []
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if seconds <= 0:
        rule = "seconds above 0, or a time such as `2h`, `90m`, `1h30m` or `45s`"
        raise PydanticCustomError("no_duration", rule)
    return seconds


Duration = Annotated[float, Field(gt=0), BeforeValidator(_to_seconds)]
"""A number of seconds above 0."""
