"""The time of day, as a study stores it: UTC, and never running backwards within one process.

Clocks are set while a search runs: by hand, by NTP, by a virtual machine that wakes. So the date
is read once, and from there on a clock that nobody can set is added; one that goes on while the
machine sleeps, where the system has one.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def _seconds() -> float:
    """Of a clock that cannot be set."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


_START = datetime.now(UTC)
_SECONDS_AT_START = _seconds()


def utc_now() -> datetime:
    """The time of day in UTC, with its zone."""
    return _START + timedelta(seconds=_seconds() - _SECONDS_AT_START)
