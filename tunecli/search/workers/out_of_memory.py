"""Detect whether the kernel killed a process because memory ran out.

The kernel sends SIGKILL, which does not say why, but it counts these kills. The count of this
process's control group (version 2: `memory.events`, version 1: `memory.oom_control`) covers the
limit of a container or a batch job; the count of the whole machine is in `/proc/vmstat`. See the
kernel's Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

LAG = 10.0
"""Seconds. A process with much memory ends visibly a while after the kernel has counted it."""

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


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
    """Distinguishes kills by the kernel from others, by its counts seconds ago and now.

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
