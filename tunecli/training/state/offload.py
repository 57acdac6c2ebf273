"""Folds that wait for their turn in host memory, where the device has no room for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

LARGEST_SHARE = 0.1
"""Of the device's memory that a waiting fold may hold there."""


def device_memory(device: torch.device) -> int | None:
    """Bytes of an accelerator's memory; None where that is the main memory, or is not told."""
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


def must_wait_elsewhere(n_bytes: int, n_folds: int, memory: int | None) -> bool:
    """Whether a fold of so many bytes leaves the device between its turns.

    Args:
        n_bytes: of its weights, best weights, average and optimizer states.
        memory: of the device; None for main memory, where folds are anyway.
    """
    return n_folds > 1 and memory is not None and n_bytes > LARGEST_SHARE * memory


class Movable:
    """The tensors of a fold that can leave a device and come back to the same bits."""

    def __init__(self, modules: Sequence[nn.Module], optimizers: Sequence[Optimizer]) -> None:
        self._modules = modules
        self._optimizers = optimizers
        self._moved: list[tuple[Tensor, torch.device]] = []

    @property
    def n_bytes(self) -> int:
        """Of all of them."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors())

    def leave(self, host: torch.device) -> None:
        """Move to the host what is not there."""
        self._moved = [(t, t.device) for t in self._tensors() if t.device != host]
        for tensor, _ in self._moved:
            tensor.data = tensor.data.to(host)

    def come_back(self) -> None:
        """Move back what has left."""
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
