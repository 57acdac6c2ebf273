"""What this machine offers to workers. Imports no torch: the driver asks."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tunecli.errors import NoGpuError

_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),  # version 2, seen from within a container
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),  # version 1
)


def n_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus() -> list[str]:
    """NVIDIA GPUs that CUDA would show to this process, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def memory() -> int:
    """Bytes of main memory: of the machine, or as many as its container or batch job may use."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(min(whole, *(_limit(file) for file in _LIMITS)))


def _limit(file: Path) -> float:
    """What a control group allows; `max` and files that are not there allow everything."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return math.inf
    return int(text) if text.isdecimal() else math.inf


def git_commit(folder: Path) -> str:
    """The commit of the repository around `folder`, with `+` if files differ from it; or empty."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return f"{commit}+" if _git(folder, "status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()


def default_jobs(n_threads: int, device: str, jobs_per_gpu: int | None = None) -> int:
    """Workers if the user does not say: some for every GPU, else one for every `n_threads` cores.

    Args:
        jobs_per_gpu: 1 if it is None.

    Raises:
        NoGpuError: jobs were asked for by GPU, and the study uses none.
    """
    found = gpus() if device in ("auto", "cuda") else []
    if found:
        return len(found) * (jobs_per_gpu or 1)
    if jobs_per_gpu is not None:
        why = f"the study trains on {device}" if device not in ("auto", "cuda") else "none is seen"
        raise NoGpuError(f"--jobs-per-gpu needs a GPU, but {why}. Write --jobs instead.")
    return max(1, n_cores() // n_threads)


def gpu_of(worker: int, found: Sequence[str]) -> str | None:
    """The GPU of a worker, each GPU in turn; None where there are none.

    Args:
        worker: counted from 0.
        found: GPUs as `gpus` names them.
    """
    return found[worker % len(found)] if found else None
