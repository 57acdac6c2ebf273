"""Measure the peak memory of a trial, and keep waiting folds in host memory if it is scarce."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

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


LARGEST_SHARE = 0.1
"""Largest share of the device's memory that a waiting fold may use."""


def device_memory(device: torch.device) -> int | None:
    """Return the bytes of a device's own memory; None if it has none, or it is unknown."""
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


def must_wait_elsewhere(n_bytes: int, n_folds: int, memory: int | None) -> bool:
    """Return whether a fold must leave the device between its turns.

    Args:
        n_bytes: size of its weights, best weights, average and optimizer states.
        n_folds: number of folds of the trial.
        memory: bytes of the device's memory; None for main memory, where folds are anyway.
    """
    return n_folds > 1 and memory is not None and n_bytes > LARGEST_SHARE * memory


class Movable:
    """Moves the tensors of a fold off a device and back, bit for bit.

    Args:
        stays: whether a tensor belongs to more than this fold, and stays on the device.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        optimizers: Sequence[Optimizer],
        stays: Callable[[Tensor], bool] = lambda _: False,
    ) -> None:
        self._modules = modules
        self._optimizers = optimizers
        self._stays = stays
        self._moved: list[tuple[Tensor, torch.device]] = []

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors that move."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors())

    def leave(self, host: torch.device) -> None:
        """Move the tensors to the host."""
        self._moved = [(t, t.device) for t in self._tensors() if t.device != host]
        for tensor, _ in self._moved:
            tensor.data = tensor.data.to(host)

    def come_back(self) -> None:
        """Move the tensors back that left."""
        for tensor, device in self._moved:
            tensor.data = tensor.data.to(device)
        self._moved = []

    def _tensors(self) -> Iterable[Tensor]:
        for module in self._modules:
            yield from (weight for weight in module.parameters() if not self._stays(weight))
            yield from module.buffers()
        for optimizer in self._optimizers:
            for state in optimizer.state.values():
                values = state.values()  # LBFGS keeps its history in lists
                lists = [value for value in values if isinstance(value, list)]
                yield from (v for v in chain(values, *lists) if isinstance(v, Tensor))
