"""Batches in parts, where a whole one does not fit into memory.

The gradients of the parts add up to that of the batch, so that a model learns the same from either
(up to rounding), unless it has batch norms: those see one part at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunecli.study_file.counts import count
from tunecli.training.batches import Batch, batch_sizes
from tunecli.training.failures import is_out_of_memory, release_memory
from tunecli.training.random_state import RandomState


class MicroBatches:
    """Divides batches, and divides them further when memory runs out if that is wished.

    Attributes:
        size: rows of a part at most (one more where a single row would be left); None for whole
            batches.
        notes: what a user should read, in words that follow "Trial 3: ".
    """

    def __init__(self, setting: int | Literal["auto"] | None, model: nn.Module) -> None:
        """Divide as `training.micro_batch` says."""
        self.size = setting if isinstance(setting, int) else None
        self.notes: list[str] = []
        self._adapts = setting == "auto"
        self._model = model
        self._has_batch_norm = any(isinstance(m, _BatchNorm) for m in model.modules())

    def split(self, group: Sequence[Batch]) -> Sequence[Batch]:
        """The rows of a group of batches, in order, in parts."""
        if self.size is None:
            return group
        parts: list[Batch] = []
        for batch in group:
            sizes = list(batch_sizes(len(batch.y), self.size))
            columns = [
                [value] * len(sizes)
                if not isinstance(value, Tensor)
                else torch.split(value, sizes)
                for value in batch
            ]
            parts += [Batch(*values) for values in zip(*columns, strict=True)]
        return parts

    def most_rows(self, batch_size: int) -> int:
        """Rows of the largest part of a batch."""
        return min(batch_size, self.size or batch_size)

    def run(
        self, group: Sequence[Batch], accumulate: Callable[[Sequence[Batch]], Tensor]
    ) -> Tensor:
        """Call `accumulate` with the parts of a group, again with smaller ones if it must be.

        Args:
            accumulate: adds gradients to parameters that have none, and returns the mean loss.
        """
        if not self._adapts:
            return accumulate(self.split(group))
        while True:
            before = _Before(self._model, group[0][1].device)
            try:
                return accumulate(self.split(group))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not self._halve(group):
                    raise
            # Only here, where the error no longer holds what it was raised among.
            self._model.zero_grad(set_to_none=True)
            release_memory()
            before.restore()

    def _halve(self, group: Sequence[Batch]) -> bool:
        """Take smaller parts; False if they cannot be smaller."""
        least = 2 if self._has_batch_norm else 1
        now = self.most_rows(max(len(batch.y) for batch in group))
        if now // 2 < least:
            return False
        self.size = now // 2
        note = f"memory ran out, so it takes batches in parts of {count(self.size, 'row')}"
        if self._has_batch_norm:
            note += (
                ", and its batch norms see one part at a time: its score is that of another "
                "training than with whole batches"
            )
        self.notes.append(note)
        return True


class _Before:
    """What a forward pass changes beside gradients: random numbers and statistics."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._device = device
        self._buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
        self._random = RandomState.current(device)

    @torch.no_grad()
    def restore(self) -> None:
        for buffer, before in self._buffers:
            buffer.copy_(before)
        self._random.restore(self._device)
