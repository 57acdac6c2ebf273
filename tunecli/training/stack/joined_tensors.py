"""Let the tensors of several models lie in one, so that one operation computes with all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

ALIGNED = 64
"""Bytes; torch gives the memory of each tensor an address that is a multiple of these."""


class CannotStackError(Exception):
    """The models of the folds cannot compute as one stack, so that each trains alone."""

    def __init__(self) -> None:
        super().__init__("these models cannot be stacked")


class JoinedTensors:
    """A tensor in which those of several models have their places while it is bound.

    Outside of that, each tensor has its own memory, as in a model that trains alone.

    Attributes:
        memory: the joined values; they are those of the models only while bound.
    """

    def __init__(self, tensors: Sequence[Tensor], sizes: Sequence[int] | None = None) -> None:
        """Make room for the tensors.

        Args:
            tensors: dense tensors of equal strides, stacked along a new first dimension.
            sizes: sizes of the tensors' first dimension, to join them along it instead.

        Raises:
            CannotStackError: their shapes, types or strides differ, or they are not dense.
        """
        rest = {(one.shape[sizes is not None :], one.stride(), one.dtype) for one in tensors}
        if len(rest) > 1 or not all(map(_is_dense, tensors)):
            raise CannotStackError
        self._tensors = tensors
        self._sizes = sizes
        values = [tensor.detach() for tensor in tensors]
        self._strides = tensors[0].stride()
        self.memory = _apart(values) if sizes is None else self.as_tensors(torch.cat(values))
        self._own: list[Tensor] = []

    def divided(self, joined: Tensor) -> tuple[Tensor, ...]:
        """Return the places of the tensors in `memory`, or in its gradient."""
        if self._sizes is None:
            return joined.unbind(0)
        return torch.split(joined, list(self._sizes))

    def as_tensors(self, joined: Tensor) -> Tensor:
        """Return joined values such that their parts have the strides of the tensors."""
        if self._sizes is None:
            return joined if joined.stride()[1:] == self._strides else _apart(joined.unbind(0))
        if joined.stride() == self._strides:
            return joined
        values = torch.empty_strided(joined.shape, self._strides, dtype=joined.dtype)
        return values.copy_(joined)

    def bind(self) -> None:
        """Move the tensors to their places."""
        places = self.divided(self.memory)
        self._own = [tensor.data for tensor in self._tensors]
        torch._foreach_copy_(places, self._own)
        for tensor, place in zip(self._tensors, places, strict=True):
            tensor.data = place

    def release(self) -> None:
        """Move the tensors back to their own memory, with the values of now."""
        torch._foreach_copy_(self._own, self.divided(self.memory))
        for tensor, own in zip(self._tensors, self._own, strict=True):
            tensor.data = own
        self._own = []


def _apart(tensors: Sequence[Tensor]) -> Tensor:
    """Stack tensors such that each matrix begins at a multiple of `ALIGNED` bytes.

    On some CPUs products are rounded differently where memory is not aligned, as that of a lone
    tensor is.
    """
    first = tensors[0]
    if first.ndim < 2:
        return torch.stack(list(tensors))
    unit = ALIGNED // first.element_size()
    distance = -(-first.numel() // unit) * unit
    shape, strides = (len(tensors), *first.shape), (distance, *first.stride())
    joined = torch.empty_strided(shape, strides, dtype=first.dtype)
    torch._foreach_copy_(joined.unbind(0), list(tensors))
    return joined


def _is_dense(tensor: Tensor) -> bool:
    """Return whether the tensor has no holes in memory, in one of torch's formats."""
    is_channels_last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor.is_contiguous() or is_channels_last


@contextmanager
def while_joined(joined: Iterable[JoinedTensors]) -> Iterator[None]:
    """Bind tensors within the block, and release them however it ends."""
    done: list[JoinedTensors] = []
    try:
        for one in joined:
            one.bind()
            done.append(one)
        yield
    finally:
        for one in reversed(done):
            one.release()
