"""What can be seen of a worker from outside: how long its trial has run, and its memory.

Time counts only while both sides could have worked: of the time between two looks at most a
second, so that a driver that was stopped, or a machine that slept, costs no trial its time; and
none while the worker itself is stopped. The clock is monotonic: setting the date changes nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tunecli.training.outcome.evaluation import TrialResult
from tunecli.training.outcome.failure_reasons import TIMEOUT

PAUSE = 0.25
"""Seconds between two looks, at least."""

LONGEST = 1.0
"""Seconds between two looks that count, at most."""


class Seen(NamedTuple):
    """Attributes: `is_stopped`: by a signal or a debugger; `n_bytes`: of main memory."""

    is_stopped: bool
    n_bytes: int


def seen(pid: int) -> Seen:
    """A process as Linux shows it, see proc(5); elsewhere it seems to run and to hold nothing."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        fields = text.rpartition(")")[2].split()  # the name before may hold anything
        return Seen(fields[0] in ("T", "t"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, IndexError, ValueError):
        return Seen(is_stopped=False, n_bytes=0)


class Watch:
    """One trial in one worker.

    Args:
        pid: of the worker.
        max_time: seconds that the trial may take; None for any.
        now: of a monotonic clock, in seconds.

    Attributes:
        seconds: that the trial has run; of one that goes on from a checkpoint, add those before.
        peak_memory: the most bytes that were seen.
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
        """The result of a trial that was ended for its time."""
        return TrialResult(
            "failed",
            reason=f"{TIMEOUT}: it ran longer than training.max_time, {self._max_time:g} s",
            seconds=self.seconds,
            peak_memory=self.peak_memory,
        )

    @property
    def is_over(self) -> bool:
        """Whether the trial has had its time."""
        return self._max_time is not None and self.seconds > self._max_time
