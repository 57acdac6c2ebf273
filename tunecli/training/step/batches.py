"""Divide the training rows of a fold into batches, epoch after epoch, and batches into parts.

A batch is divided if it does not fit into memory as a whole. The gradients of the parts add up to
that of the batch, so training is the same up to rounding, unless the model has batch norms, which
see one part at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, repeat
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunecli.data.rows.draws import seed_of
from tunecli.data.rows.features import Features, as_features
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.trial_failures import is_out_of_memory, release_memory
from tunecli.training.state.random_state import GLOBAL, Draws, RandomState

CHUNK = 50
"""Number of batches within which rows are sorted by length."""


class Batch(NamedTuple):
    """Rows that are trained on together.

    Attributes:
        x: features, (n, *shape).
        y: targets, (n,).
        other: targets of the rows that `x` is mixed with, (n,); None without mixing.
        share: share of `y` in the mixture.
        weights: weights of the rows of `y` in a mean, (n,); None for equal weights.
        other_weights: weights of the rows of `other`, (n,).
    """

    x: Tensor
    y: Tensor
    other: Tensor | None = None
    share: float = 1.0
    weights: Tensor | None = None
    other_weights: Tensor | None = None

    def of_members(self, n_members: int) -> Batch:
        """Return the targets and weights of each row `n_members` times, one after another.

        They belong to the outputs of a model that predicts several times, (n * n_members, …).
        """
        y, other, weights, other_weights = (
            None if tensor is None else tensor.repeat_interleave(n_members, 0)
            for tensor in (self.y, self.other, self.weights, self.other_weights)
        )
        assert y is not None
        return Batch(self.x, y, other, self.share, weights, other_weights)


def batch_sizes(n_rows: int, batch_size: int | Literal["full"]) -> tuple[int, ...]:
    """Return the number of rows of each batch of an epoch.

    A last batch of one row joins the one before: batch norm refuses it, and its gradient is noise.
    """
    size = n_rows if batch_size == "full" else min(batch_size, n_rows)
    sizes = [size] * (n_rows // size)
    if n_rows % size == 1:
        sizes[-1] += 1
    elif n_rows % size:
        sizes.append(n_rows % size)
    return tuple(sizes)


class Batches:
    """An endless iteration over the rows that can be stopped and resumed between any two batches.

    Attributes:
        sizes: number of rows of each batch of an epoch.
        position: number of batches of the epoch that were returned.
        n_epochs: number of epochs that were started.
    """

    def __init__(
        self,
        x: Tensor | Features,
        y: Tensor,
        batch_size: int | Literal["full"],
        shuffle: bool,
        seed: int = 0,
        weights: Tensor | None = None,
    ) -> None:
        """Iterate over the rows of `x` (n_rows, *shape) and `y` (n_rows,).

        Args:
            batch_size: rows per batch, or `full` for all rows.
            shuffle: whether each epoch has a new order, drawn when it begins, in which
                rows of tokens in a batch have like lengths; no effect if one batch holds all rows.
            seed: seed of random draws while rows are loaded, which differ in each epoch.
            weights: weights of the rows, (n_rows,); None for equal weights.
        """
        self.sizes = batch_sizes(len(y), batch_size)
        self.position = len(self.sizes)
        self.n_epochs = 0
        self._seed = seed
        self._x, self._y, self._weights = as_features(x), y, weights
        self._ends = (0, *accumulate(self.sizes))
        self._shuffle = shuffle and len(self.sizes) > 1
        self._order: Tensor | None = None

    @property
    def epoch_is_over(self) -> bool:
        """Whether `begin_epoch` must be called before the next batch; true at the start."""
        return self.position == len(self.sizes)

    def begin_epoch(self, draws: Draws = GLOBAL) -> None:
        """Start at the first batch again, in a new order if shuffled."""
        self.position = 0
        self.n_epochs += 1
        if self._shuffle:
            order = torch.randperm(len(self._y), generator=draws.of_torch)
            if self._x.lengths is not None:
                order = grouped_by_length(order, self._x.lengths, self.sizes, draws)
            self._order = order.to(self._y.device)

    def rest_of_epoch(self) -> Iterator[Batch]:
        """Yield the batches from `position` on, and advance `position`."""
        start, sizes = self._ends[self.position], self.sizes[self.position :]
        rows = None if len(self.sizes) == 1 else self._rows()[start:]
        ys = _parts(self._y, rows, sizes)
        weights = repeat(None) if self._weights is None else _parts(self._weights, rows, sizes)
        xs = self._x.batches(rows, sizes, seed_of(self._seed, self.n_epochs))
        for x, y, weight in zip(xs, ys, weights, strict=False):  # None has no end
            self.position += 1
            yield Batch(x, y, weights=weight)

    def _rows(self) -> Tensor:
        """Return the positions of all rows in the order of the epoch."""
        if self._order is not None:
            return self._order
        return torch.arange(len(self._y), device=self._y.device)

    def state_dict(self) -> dict[str, Any]:
        """Return position, order and number of the current epoch."""
        return {"position": self.position, "order": self._order, "n_epochs": self.n_epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        self.position = state["position"]
        self.n_epochs = state["n_epochs"]
        order = state["order"]
        self._order = None if order is None else order.to(self._y.device)


def grouped_by_length(
    order: Tensor, lengths: Tensor, sizes: Sequence[int], draws: Draws = GLOBAL
) -> Tensor:
    """Return an order of rows in which those of a batch have like lengths and little padding.

    Within each `CHUNK` of batches the rows are sorted by length and cut into batches, which follow
    each other in a new order, drawn from torch's generator of `draws`.

    Args:
        order: the rows, (n_rows,) int64; a row stays in its chunk.
        lengths: number of tokens of each row, (n_rows,) int64.
        sizes: number of rows of each batch.
    """
    batches: list[Tensor] = []
    start = 0
    for chunk in _chunks(sizes):
        rows = order[start : start + sum(chunk)]
        start += len(rows)
        ranks = torch.randperm(len(chunk), generator=draws.of_torch)
        # A batch has its size wherever it stands among the sorted rows.
        of_rank = torch.empty_like(ranks).scatter_(0, ranks, torch.tensor(chunk))
        cut = torch.split(rows[lengths[rows].argsort(stable=True)], of_rank.tolist())
        batches += [cut[rank] for rank in ranks.tolist()]
    return torch.cat(batches)


def padding_share(lengths: Tensor, sizes: Sequence[int], *, shuffle: bool = True) -> float:
    """Return the share of padding in an epoch of batches; for arguments see above."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        order = torch.arange(len(lengths))
        if shuffle and len(sizes) > 1:
            order = grouped_by_length(torch.randperm(len(lengths)), lengths, sizes)
    batches = torch.split(lengths[order].clamp(min=1), list(sizes))
    n_padded = sum(len(batch) * int(batch.max()) for batch in batches)
    return 1 - int(lengths.clamp(min=1).sum()) / n_padded


def _chunks(sizes: Sequence[int]) -> Iterator[Sequence[int]]:
    return (sizes[start : start + CHUNK] for start in range(0, len(sizes), CHUNK))


def _parts(values: Tensor, rows: Tensor | None, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Split the values of `rows`, or of all rows in their order, into batches."""
    chosen = values if rows is None else values.index_select(0, rows)
    return torch.split(chosen, list(sizes))


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
