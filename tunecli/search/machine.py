"""What this machine offers to workers. Imports no torch: the driver asks."""

from __future__ import annotations

import os
from pathlib import Path


def n_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def n_gpus() -> int:
    """NVIDIA GPUs that CUDA would show to this process."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def memory() -> int:
    """Bytes of main memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def default_jobs(n_threads: int, device: str) -> int:
    """Workers if the user does not say: one a GPU, else one for every `n_threads` cores."""
    if device in ("auto", "cuda") and n_gpus():
        return n_gpus()
    return max(1, n_cores() // n_threads)
