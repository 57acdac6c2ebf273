"""Watch workers from outside: how long a trial has run, its memory, and why a worker was killed.

Every executor needs it: a trial may hang in native code, and a worker that the kernel kills says
nothing.

Time counts only while driver and worker could both work. At most a second counts between two
looks, so a stopped driver or a sleeping machine costs a trial no time; nothing counts while the
worker is stopped. The clock is monotonic: setting the date has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from tunecli.search.workers.messages import Event, Finished, Job, TrialJob, WorkerDied
from tunecli.training.outcome.evaluation import TrialResult
from tunecli.training.outcome.failure_reasons import TIMEOUT

PAUSE = 0.25
"""Shortest time between two checks, in seconds."""

LONGEST = 1.0
"""Most seconds counted per interval between checks."""

LAG = 10.0
"""Seconds after the kernel counts a kill until a large process is seen to have ended."""

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class Seen(NamedTuple):
    """The state of a process.

    Attributes:
        is_stopped: whether a signal or a debugger has stopped it.
        n_bytes: its main memory.
    """

    is_stopped: bool
    n_bytes: int


def seen(pid: int) -> Seen:
    """Return the state of a process; of one that is gone, running with 0 bytes."""
    try:
        process = psutil.Process(pid)
        stopped = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
        return Seen(process.status() in stopped, int(process.memory_info().rss))
    except psutil.Error:
        return Seen(is_stopped=False, n_bytes=0)


class Watch:
    """Watches one job in one worker.

    Args:
        pid: process id of the worker.
        max_time: largest duration of the job in seconds; None for no limit.
        now: seconds of a monotonic clock.

    Attributes:
        seconds: how long the job has run; for a resumed trial, add the seconds before.
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

    @property
    def is_over(self) -> bool:
        """Whether the job has exceeded its `max_time`."""
        return self._max_time is not None and self.seconds > self._max_time

    def out_of_time(self, job: Job, worker: int) -> Event:
        """Return the event for a job that was ended because it exceeded its `max_time`."""
        if not isinstance(job, TrialJob):
            words = f"it took longer than {job.max_time:g} s"
            return WorkerDied(job.number, worker, None, words, seconds=self.seconds)
        result = TrialResult(
            "failed",
            reason=f"{TIMEOUT}: it ran longer than training.max_time, {job.max_time:g} s",
            seconds=self.seconds,
            peak_memory=self.peak_memory,
        )
        return Finished(job.number, worker, result)


def n_kills(text: str) -> int:
    """Return the count in one of those files; all of them have a line `oom_kill N`."""
    match = _COUNT.search(text)
    return int(match[1]) if match else 0


def counters(groups: str, root: Path = Path("/sys/fs/cgroup")) -> tuple[Path, ...]:
    """Return the files with the counts that matter to a process; they need not exist.

    Args:
        groups: its `/proc/<pid>/cgroup`, whose lines are `id:controllers:path`.
    """
    files = [Path("/proc/vmstat")]
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        below = path.lstrip("/")
        if not controllers:  # version 2
            files.append(root / below / "memory.events")
        elif "memory" in controllers.split(","):
            # In a container the path is the host's, and the group is mounted without it.
            for folder in dict.fromkeys((root / "memory" / below, root / "memory")):
                files.append(folder / "memory.oom_control")
    return tuple(files)


def own_counters() -> tuple[Path, ...]:
    """Return the files of this process; on systems without them, files that do not exist."""
    return counters(_read(Path("/proc/self/cgroup")))


class KernelKills:
    """Distinguishes kills by the kernel because memory ran out from others, by its counts.

    The kernel sends SIGKILL, which does not say why, but it counts these kills. The count of this
    process's control group (version 2: `memory.events`, version 1: `memory.oom_control`) covers
    the limit of a container or a batch job; the count of the whole machine is in `/proc/vmstat`.
    See the kernel's Documentation/admin-guide/cgroup-v2.rst.

    Args:
        files: the files with the counts.
        now: seconds of a monotonic clock.
    """

    def __init__(self, files: Sequence[Path], now: float) -> None:
        self._files = files
        self._earlier = self._newest = self._counts()
        self._read_at = now

    def look(self, now: float) -> None:
        """Update the older counts, at most every `LAG` seconds; to be called regularly.

        Args:
            now: seconds of a monotonic clock.
        """
        if now - self._read_at >= LAG:
            self._earlier, self._newest = self._newest, self._counts()
            self._read_at = now

    def explain_one(self) -> bool:
        """Return whether a count rose lately by a kill that explains no other death yet."""
        rose = [now > before for now, before in zip(self._counts(), self._earlier, strict=True)]
        self._earlier = [n + more for n, more in zip(self._earlier, rose, strict=True)]
        self._newest = [max(pair) for pair in zip(self._earlier, self._newest, strict=True)]
        return any(rose)

    def _counts(self) -> list[int]:
        return [n_kills(_read(file)) for file in self._files]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
