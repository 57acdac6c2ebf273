"""Keep waiting folds in host memory if the device has too little memory for all folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

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
    """Moves the tensors of a fold off a device and back, bit for bit."""

    def __init__(self, modules: Sequence[nn.Module], optimizers: Sequence[Optimizer]) -> None:
        self._modules = modules
        self._optimizers = optimizers
        self._moved: list[tuple[Tensor, torch.device]] = []

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors())

    def leave(self, host: torch.device) -> None:
        """Move all tensors to the host."""
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
            yield from module.parameters()
            yield from module.buffers()
        for optimizer in self._optimizers:
            for state in optimizer.state.values():
                yield from (value for value in state.values() if isinstance(value, Tensor))
