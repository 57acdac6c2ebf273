"""Whether the kernel has ended a process because memory ran out.

The kernel does that by SIGKILL, which by itself says nothing; but it counts. The count of this
process's control group (version 2: `memory.events`, version 1: `memory.oom_control`) covers a
container's or a batch job's limit, the whole machine's is in `/proc/vmstat`. See the kernel's
Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

LAG = 10.0
"""Seconds. A process with much memory is seen dead a while after the kernel has counted it."""

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def n_kills(text: str) -> int:
    """The count in one of those files; all of them have a line `oom_kill N`."""
    found = _COUNT.search(text)
    return int(found[1]) if found else 0


def counters(groups: str, root: Path = Path("/sys/fs/cgroup")) -> tuple[Path, ...]:
    """The files with counts that matter to a process; those that are there can be read.

    Args:
        groups: its `/proc/<pid>/cgroup`, whose lines are `id:controllers:path`.
    """
    found = [Path("/proc/vmstat")]
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        below = path.lstrip("/")
        if not controllers:  # version 2
            found.append(root / below / "memory.events")
        elif "memory" in controllers.split(","):
            # In a container the path is the host's, and the group is mounted without it.
            for folder in dict.fromkeys((root / "memory" / below, root / "memory")):
                found.append(folder / "memory.oom_control")
    return tuple(found)


def own_counters() -> tuple[Path, ...]:
    """Those of this process; on systems without them, files that do not exist."""
    return counters(_read(Path("/proc/self/cgroup")))


class KernelKills:
    """Tells a kill by the kernel from others, by its counts of some seconds ago and of now.

    Args:
        files: that hold the counts.
        now: of a monotonic clock, in seconds.
    """

    def __init__(self, files: Sequence[Path], now: float) -> None:
        self._files = files
        self._earlier = self._newest = self._counts()
        self._read_at = now

    def look(self, now: float) -> None:
        """Keep what was counted before; for every now and then."""
        if now - self._read_at >= LAG:
            self._earlier, self._newest = self._newest, self._counts()
            self._read_at = now

    def explain_one(self) -> bool:
        """Whether a count rose lately by a kill that explains no other death yet."""
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
