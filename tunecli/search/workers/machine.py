"""What this machine offers to workers. Imports no torch: the driver asks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tunecli.data.rows.hardware import n_cores
from tunecli.errors import NoGpuError


def gpus() -> list[str]:
    """NVIDIA GPUs that CUDA would show to this process, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


_RUNS_NOTHING = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}")
_NO_TRANSPORT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}


def git_commit(folder: Path) -> str:
    """The commit of the repository around `folder`, with `+` if files differ from it; or empty.

    A repository may come from somebody else: no program that its configuration names is run.
    """
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        names = _git(folder, "config", "-z", "--name-only", "--list").split("\0")
        filters = {name for name in names if name.startswith("filter.")}
        if any("=" in name for name in filters):  # which no option can switch off
            return commit
        off = [f"{name}={'false' if name.endswith('.required') else ''}" for name in filters]
        status = ("status", "--porcelain", "-uno", "--ignore-submodules=all")
        return f"{commit}+" if _git(folder, *status, settings=off) else commit
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *words: str, settings: Sequence[str] = ()) -> str:
    given = [word for one in (*_RUNS_NOTHING, *settings) for word in ("-c", one)]
    done = subprocess.run(
        ["git", "-C", str(folder), "--no-optional-locks", *given, *words],
        capture_output=True,
        text=True,
        timeout=5,
        check=True,
        env=os.environ | _NO_TRANSPORT,
    )
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
