"""The items of a map-style torch `Dataset` of the user's own: read by index, and held to rules.

Items are pairs (x, y). All x are of one shape and type: numbers, pictures as arrays or tensors
(channels, height, width), or pictures of Pillow. What an item draws from the global generators of
torch, numpy and Python is seeded with its index, so that it is the same in every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset

from tunecli.data.array_forms import tensor_array
from tunecli.data.decoding import picture_array
from tunecli.data.draws import generators_kept, seed_all, seed_of
from tunecli.data.table_bounds import MOST_ROWS
from tunecli.data.user_code import blaming
from tunecli.errors import UserCodeError
from tunecli.study_file.counts import count

Array = NDArray[Any]


class Items:
    """What a user's data set holds.

    Attributes:
        source: the function that returned it, as the study file names it.
    """

    def __init__(self, source: str, dataset: TorchDataset[Any]) -> None:
        """Ask for the length and the first item.

        Raises:
            UserCodeError: there is none, or it is no pair, or another one when it is read again.
        """
        self.source = source
        self._dataset = dataset
        self._n_items = self._length()
        with generators_kept():
            self._first, again = self._pair(0, seed=0)[0], self._pair(0, seed=0)[0]
        if not np.array_equal(self._first, again, equal_nan=self._first.dtype.kind == "f"):
            raise UserCodeError(
                f"{source}: item 0 differs when it is read again, so no trial would repeat. "
                "Draw from the global generators of torch, numpy and random: they are seeded."
            )

    def __len__(self) -> int:
        return self._n_items

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one x, as the user gives it."""
        return tuple(self._first.shape)

    @property
    def n_bytes(self) -> int:
        """Of all x, if they were in memory."""
        return len(self) * self._first.nbytes

    def features(self, rows: Sequence[int], seed: int = 0) -> Array:
        """The x of some items, (n, *shape) of the first one's type.

        Raises:
            UserCodeError: one cannot be read, or is unlike the first; with its index.
        """
        x = np.empty((len(rows), *self.shape), self._first.dtype)
        with generators_kept():
            for place, index in enumerate(rows):
                x[place] = self._checked(index, self._pair(index, seed)[0])
        return x

    def targets(self, rows: Sequence[int]) -> list[Any]:
        """The y of some items: numbers or texts."""
        with generators_kept():
            return [self._pair(index, seed=0)[1] for index in rows]

    def pairs(self) -> tuple[Array, Array]:
        """All x and all y."""
        x = np.empty((len(self), *self.shape), self._first.dtype)
        y = []
        with generators_kept():
            for index in range(len(self)):
                features, target = self._pair(index, seed=0)
                x[index] = self._checked(index, features)
                y.append(target)
        return x, np.array(y)

    @cached_property
    def known_targets(self) -> Array | None:
        """`targets` or `labels` of the data set, one for each item; None if it has none."""
        for name in ("targets", "labels"):
            with blaming(self.source):
                found = getattr(self._dataset, name, None)
            if isinstance(found, Sequence | Tensor | np.ndarray) and len(found) == len(self):
                y = as_array(found)
                if y.ndim == 1 and y.dtype.kind in "biufU":
                    return y
        return None

    def _length(self) -> int:
        rule = f"{self.source} must return a torch Dataset with __len__ and __getitem__"
        if isinstance(self._dataset, IterableDataset):
            raise UserCodeError(f"{rule}: no fold can be cut from an IterableDataset.")
        if not hasattr(self._dataset, "__len__"):
            kind = type(self._dataset).__name__
            raise UserCodeError(f"{rule}, but {kind} has no __len__. Add it.")
        with blaming(self.source):
            n_items = len(self._dataset)
        if not n_items:
            raise UserCodeError(f"{self.source} returned a torch Dataset without items.")
        if n_items > MOST_ROWS:
            raise UserCodeError(
                f"{self.source} returned a torch Dataset of {count(n_items, 'item')}, but a data "
                f"set may have at most {MOST_ROWS:,}. Return a torch Subset of it."
            )
        return n_items

    def _pair(self, index: int, seed: int) -> tuple[Array, Any]:
        seed_all(seed_of(seed, index))
        with blaming(f"{self.source}: item {index:,}"):
            item = self._dataset[index]
            if isinstance(item, list | tuple) and len(item) == 2:
                return as_array(item[0]), as_array(item[1])[()]
        kind = type(item).__name__
        raise UserCodeError(f"{self.source}: item {index:,} must be a pair (x, y), but is {kind}.")

    def _checked(self, index: int, x: Array) -> Array:
        if x.shape == self._first.shape and x.dtype == self._first.dtype:
            return x
        rule = f"{self.source}: items must be alike, but item {index:,} is {_form(x)}"
        raise UserCodeError(f"{rule}, and item 0 {_form(self._first)}.")


def as_array(values: Any) -> Array:
    """Numbers as they are; a Pillow picture as (channels, height, width), see `picture_array`."""
    if isinstance(values, Tensor):
        return tensor_array(values)
    if isinstance(values, Image.Image):
        return picture_array(values)
    return np.asarray(values)


def _form(x: Array) -> str:
    return f"{' × '.join(map(str, x.shape)) or 'one number'} of {x.dtype}"
