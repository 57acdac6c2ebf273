"""Measure the peak memory of a trial."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class PeakMemory:
    """The peak memory since creation: of the device on CUDA, otherwise of the process.

    The process's peak includes what it already holds, such as torch and data. If the system does
    not let a process reset its peak (systems other than Linux, and some containers), it is the
    peak since the process started.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_reset = False
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            self._is_reset = _begin_new_peak()

    @property
    def n_bytes(self) -> int:
        """The peak so far, in bytes."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return (_peak_from_status() if self._is_reset else None) or life_peak()


def life_peak() -> int:
    """Return the largest number of bytes that the process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def _begin_new_peak() -> bool:
    """Reset the process's peak on Linux; see proc(5), /proc/pid/clear_refs."""
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _peak_from_status() -> int | None:
    """Return `VmHWM` in bytes, which can be reset unlike `ru_maxrss`; None if unavailable."""
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(sizes[0]) * 1024 if sizes else None
