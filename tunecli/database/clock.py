"""The time of day, as a study stores it: UTC, which never runs backwards within one process.

The system clock may be set while a search runs: by hand, by NTP, by a virtual machine that wakes.
So the date is read once, and the time since then comes from a clock that cannot be set, and that
also counts while the machine sleeps, if the system has such a clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count


def _seconds() -> float:
    """Return the seconds of a clock that cannot be set."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


_START = datetime.now(UTC)
_SECONDS_AT_START = _seconds()


def utc_now() -> datetime:
    """Return the time of day in UTC, with its zone."""
    return _START + timedelta(seconds=_seconds() - _SECONDS_AT_START)


def stamps() -> Iterator[str]:
    """Yield the time of day, and then with -2, -3, …: endings of a name that must be new."""
    stamp = utc_now().strftime("%Y%m%d-%H%M%S")
    yield stamp
    yield from (f"{stamp}-{number}" for number in count(2))
