"""Divide batches into parts if a whole batch does not fit into memory.

The gradients of the parts add up to that of the batch, so training is the same up to rounding,
unless the model has batch norms, which see one part at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunecli.study_file.text.counts import count
from tunecli.training.outcome.trial_failures import is_out_of_memory, release_memory
from tunecli.training.state.random_state import RandomState
from tunecli.training.step.batches import Batch, batch_sizes


class MicroBatches:
    """Divides batches; with `auto`, divides them further when memory runs out.

    Attributes:
        size: largest number of rows of a part (one more if a single row would be left); None for
            whole batches.
        notes: notes for the user, in words that follow "Trial 3: ".
    """

    def __init__(self, setting: int | Literal["auto"] | None, model: nn.Module) -> None:
        """Divide as `training.micro_batch` sets it."""
        self.size = setting if isinstance(setting, int) else None
        self.notes: list[str] = []
        self._adapts = setting == "auto"
        self._model = model
        self._has_batch_norm = any(isinstance(m, _BatchNorm) for m in model.modules())

    def split(self, group: Sequence[Batch]) -> Sequence[Batch]:
        """Divide the batches of a group into parts; the rows keep their order."""
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
        """Return the number of rows of the largest part of a batch."""
        return min(batch_size, self.size or batch_size)

    def run(
        self, group: Sequence[Batch], accumulate: Callable[[Sequence[Batch]], Tensor]
    ) -> Tensor:
        """Call `accumulate` with the parts of a group; retry with smaller ones if memory runs out.

        Args:
            accumulate: adds gradients to parameters without gradients, and returns the mean loss.
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
            # Only here: within `except`, the error still references tensors.
            self._model.zero_grad(set_to_none=True)
            release_memory()
            before.restore()

    def _halve(self, group: Sequence[Batch]) -> bool:
        """Halve the size of parts; return False if it cannot be halved."""
        least = 2 if self._has_batch_norm else 1
        now = self.most_rows(max(len(batch.y) for batch in group))
        if now // 2 < least:
            return False
        self.size = now // 2
        rows = count(self.size, "row")
        note = f"memory ran out, so batches are now split into parts of {rows}"
        if self._has_batch_norm:
            note += (
                "; batch norms see one part at a time, so the score differs from that of training "
                "with whole batches"
            )
        self.notes.append(note)
        return True


class _Before:
    """Restores what a forward pass changes apart from gradients: random state and buffers."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._device = device
        self._buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
        self._random = RandomState.current(device)

    @torch.no_grad()
    def restore(self) -> None:
        for buffer, before in self._buffers:
            buffer.copy_(before)
        self._random.restore(self._device)
