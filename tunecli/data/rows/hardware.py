"""Cores and main memory that this process may use; without torch, since the driver asks too."""

from __future__ import annotations

import math
import os
from pathlib import Path

import psutil

_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),  # version 2, seen from within a container
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),  # version 1
)


def n_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main_memory() -> int:
    """Return the bytes of main memory that the machine, container or batch job may use."""
    whole = psutil.virtual_memory().total
    return int(min(whole, *(_limit(file) for file in _LIMITS)))


def gib(n_bytes: int) -> str:
    """Return a number of bytes in gibibytes, for messages."""
    return f"{n_bytes / 2**30:,.1f} GiB"


def _limit(file: Path) -> float:
    """Return the bytes that a control group allows; `max` and missing files allow everything."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return math.inf
    return int(text) if text.isdecimal() else math.inf
