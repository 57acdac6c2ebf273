"""The GPUs, cores and git commit of this machine, found without torch for the driver."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tunecli.data.rows.hardware import n_cores
from tunecli.errors import NoGpuError


def gpus() -> list[str]:
    """Return the NVIDIA GPUs visible to this process, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


_RUNS_NOTHING = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}")
_NO_TRANSPORT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}


def git_commit(folder: Path) -> str:
    """Return the commit of the repository around `folder`, with `+` if files differ from it.

    Empty without a repository. It may come from somebody else, so no program that its
    configuration names is run.
    """
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        names = _git(folder, "config", "-z", "--name-only", "--list").split("\0")
        filters = {name for name in names if name.startswith("filter.")}
        if any("=" in name for name in filters):  # no option can switch these off
            return commit
        off = [f"{name}={'false' if name.endswith('.required') else ''}" for name in filters]
        status = ("status", "--porcelain", "-uno", "--ignore-submodules=all")
        return f"{commit}+" if _git(folder, *status, settings=off) else commit
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *words: str, settings: Sequence[str] = ()) -> str:
    given = [word for one in (*_RUNS_NOTHING, *settings) for word in ("-c", one)]
    completed = subprocess.run(
        ["git", "-C", str(folder), "--no-optional-locks", *given, *words],
        capture_output=True,
        text=True,
        timeout=5,
        check=True,
        env=os.environ | _NO_TRANSPORT,
    )
    return completed.stdout.strip()


def default_jobs(n_threads: int, device: str, jobs_per_gpu: int | None = None) -> int:
    """Return the default number of workers: by GPUs, or one per `n_threads` cores without GPUs.

    Args:
        jobs_per_gpu: workers per GPU; None for 1.

    Raises:
        NoGpuError: `jobs_per_gpu` is given, and the study uses no GPU.
    """
    usable = gpus() if device in ("auto", "cuda") else []
    if usable:
        return len(usable) * (jobs_per_gpu or 1)
    if jobs_per_gpu is not None:
        uses_gpu = device in ("auto", "cuda")
        why = "no GPU is visible" if uses_gpu else f"the study trains on {device}"
        raise NoGpuError(f"--jobs-per-gpu requires a GPU, but {why}. Use --jobs instead.")
    return max(1, n_cores() // n_threads)


def gpu_of(worker: int, visible: Sequence[str]) -> str | None:
    """Return the GPU of a worker, each GPU in turn; None without GPUs.

    Args:
        worker: its number, from 0.
        visible: GPUs as `gpus` names them.
    """
    return visible[worker % len(visible)] if visible else None
