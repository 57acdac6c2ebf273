"""Watch a worker from outside: how long its trial has run, and its memory.

Time counts only while driver and worker could both work. At most a second counts between two
looks, so a stopped driver or a sleeping machine costs a trial no time; nothing counts while the
worker is stopped. The clock is monotonic: setting the date has no effect.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tunecli.training.outcome.evaluation import TrialResult
from tunecli.training.outcome.failure_reasons import TIMEOUT

PAUSE = 0.25
"""Smallest number of seconds between two looks."""

LONGEST = 1.0
"""Largest number of seconds that count between two looks."""


class Seen(NamedTuple):
    """The state of a process.

    Attributes:
        is_stopped: whether a signal or a debugger has stopped it.
        n_bytes: its main memory.
    """

    is_stopped: bool
    n_bytes: int


def seen(pid: int) -> Seen:
    """Return the state of a process on Linux, see proc(5); elsewhere, running with 0 bytes."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        fields = text.rpartition(")")[2].split()  # the name before may contain anything
        return Seen(fields[0] in ("T", "t"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, IndexError, ValueError):
        return Seen(is_stopped=False, n_bytes=0)


class Watch:
    """Watches one trial in one worker.

    Args:
        pid: process id of the worker.
        max_time: largest duration of the trial in seconds; None for no limit.
        now: seconds of a monotonic clock.

    Attributes:
        seconds: how long the trial has run; for a resumed one, add the seconds before.
        peak_memory: largest main memory in bytes that was observed.
    """

    def __init__(self, pid: int, max_time: float | None, now: float) -> None:
        self.seconds = 0.0
        self.peak_memory = 0
        self._pid = pid
        self._max_time = max_time
        self._looked = now

    def look(self, now: float) -> None:
        """Count the time since the last look."""
        if now - self._looked < PAUSE:
            return
        worker = seen(self._pid)
        if not worker.is_stopped:
            self.seconds += min(now - self._looked, LONGEST)
        self.peak_memory = max(self.peak_memory, worker.n_bytes)
        self._looked = now

    def timed_out(self) -> TrialResult:
        """Return the result of a trial that exceeded its `max_time`."""
        return TrialResult(
            "failed",
            reason=f"{TIMEOUT}: it ran longer than training.max_time, {self._max_time:g} s",
            seconds=self.seconds,
            peak_memory=self.peak_memory,
        )

    @property
    def is_over(self) -> bool:
        """Whether the trial has exceeded its `max_time`."""
        return self._max_time is not None and self.seconds > self._max_time
