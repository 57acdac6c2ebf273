"""Rows of a user's map-style torch `Dataset`: items read by index, checked, and loaded in batches.

Items are pairs (x, y). All x have one shape and type: numbers, pictures as arrays or tensors
(channels, height, width), or pictures of Pillow. What an item draws from the global generators of
torch, numpy and Python is seeded with its index, so that it is the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset

from tunecli.data.rows import array_forms
from tunecli.data.rows.array_forms import Array
from tunecli.data.rows.decoding import picture_array
from tunecli.data.rows.draws import generators_kept, seed_all, seed_of
from tunecli.data.rows.loader_processes import loaded
from tunecli.data.user_code.import_user_code import blaming
from tunecli.errors import UserCodeError
from tunecli.study_file.text.counts import count

SAMPLE = 64
"""Items to read as a sample when reading all of them would take too long."""
AT_ONCE = 256
"""Items whose targets one process reads at a time."""


class DatasetItems:
    """The items of a user's data set.

    Attributes:
        source: the function that returned the data set, as the study file names it.
    """

    def __init__(self, source: str, dataset: TorchDataset[Any]) -> None:
        """Ask for the length and the first item.

        Raises:
            UserCodeError: there is none, it is not a pair, or it changes when it is read again.
        """
        self.source = source
        self._dataset = dataset
        self._n_items = self._length()
        with generators_kept():
            self._first, again = self._pair(0, seed=0)[0], self._pair(0, seed=0)[0]
        if not np.array_equal(self._first, again, equal_nan=self._first.dtype.kind == "f"):
            raise UserCodeError(
                f"{source}: item 0 differs when it is read again, so trials would not be "
                "reproducible. Draw only from the global generators of torch, numpy and random, "
                "which tunecli seeds."
            )

    def __len__(self) -> int:
        return self._n_items

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one x, as the user gives it."""
        return tuple(self._first.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes of all x, if they were in memory."""
        return len(self) * self._first.nbytes

    def features(self, rows: Sequence[int], seed: int = 0) -> Array:
        """Return the x of some items, (n, *shape), in the first item's type.

        Raises:
            UserCodeError: an item cannot be read, or differs in form from the first.
        """
        x = np.empty((len(rows), *self.shape), self._first.dtype)
        with generators_kept():
            for position, index in enumerate(rows):
                x[position] = self._with_form(index, self._pair(index, seed)[0])
        return x

    def targets(self, rows: Sequence[int]) -> list[Any]:
        """Return the y of some items: numbers or texts."""
        with generators_kept():
            return [self._pair(index, seed=0)[1] for index in rows]

    def pairs(self) -> tuple[Array, Array]:
        """Return all x and all y."""
        x = np.empty((len(self), *self.shape), self._first.dtype)
        y = []
        with generators_kept():
            for index in range(len(self)):
                features, target = self._pair(index, seed=0)
                x[index] = self._with_form(index, features)
                y.append(target)
        return x, np.array(y)

    @cached_property
    def known_targets(self) -> Array | None:
        """The data set's `targets` or `labels`, one per item; None if it has neither."""
        for name in ("targets", "labels"):
            with blaming(self.source):
                listed = getattr(self._dataset, name, None)
            if isinstance(listed, Sequence | Tensor | np.ndarray) and len(listed) == len(self):
                y = as_array(listed)
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
        if n_items > array_forms.MOST_ROWS:
            raise UserCodeError(
                f"{self.source} returned a torch Dataset of {count(n_items, 'item')}, but a data "
                f"set may have at most {array_forms.MOST_ROWS:,}. Return a torch Subset of it."
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

    def _with_form(self, index: int, x: Array) -> Array:
        if x.shape == self._first.shape and x.dtype == self._first.dtype:
            return x
        rule = f"{self.source}: all items must have the same shape and type, but item {index:,} is"
        raise UserCodeError(f"{rule} {_form(x)}, and item 0 is {_form(self._first)}.")


def as_array(values: Any) -> Array:
    """Return numbers as an array; a Pillow picture as (channels, height, width)."""
    if isinstance(values, Tensor):
        return array_forms.tensor_array(values)
    if isinstance(values, Image.Image):
        return picture_array(values)
    return np.asarray(values)


def _form(x: Array) -> str:
    return f"{' × '.join(map(str, x.shape)) or 'one number'} of {x.dtype}"


class LoadedRows:
    """Rows that are not held in memory: a stand-in for the features of a data set that are.

    Attributes:
        shape: (n_rows, n_features) or (n_rows, channels, height, width).
        dtype: int64 for whole numbers, uint8 for pictures of bytes, else float64 or float32.
        row_bytes: bytes of one row of that type.
        n_loaders: number of processes that load ahead; 0 for none.
    """

    def __init__(self, items: DatasetItems, n_loaders: int) -> None:
        """Take all items, and read the first."""
        self._items = items
        self.source = items.source
        self.n_loaders = n_loaders
        first = self._read([0], 0)
        self.shape = (len(items), *first.shape[1:])
        self.dtype = first.dtype
        self.row_bytes = first.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes that the rows would take in memory."""
        return len(self._items) * self.row_bytes

    def batches(self, rows: Tensor, sizes: Sequence[int], seed: int = 0) -> Iterator[Tensor]:
        """Return the rows in batches of `sizes`, each (size, *shape) of `dtype`, on the CPU.

        Args:
            rows: (sum of sizes,) int64.
            seed: seed of what an item draws, together with its index.

        Raises:
            UserCodeError: an item cannot be read, is not finite, or is unlike the first.
        """
        wanted = rows.tolist()
        ends = (0, *accumulate(sizes))
        requests = [wanted[start:end] for start, end in pairwise(ends)]
        yield from loaded(
            self.source, lambda some: self._read(some, seed), requests, self.n_loaders
        )

    def targets(self) -> Array:
        """Return the targets of all rows, (n_rows,): the data set's list, else read in one pass.

        The list is used only if it agrees with `SAMPLE` items: a data set may transform its
        targets when it returns an item.
        """
        known, some = self._items.known_targets, self.sample_rows()
        if known is not None and np.array_equal(known[some], np.array(self._items.targets(some))):
            return array_forms.target_array(self.source, known)
        rows = [*range(self.shape[0])]
        requests = [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]
        parts = loaded(self.source, self._items.targets, requests, self.n_loaders)
        return array_forms.target_array(self.source, np.array([y for part in parts for y in part]))

    def sample_rows(self) -> list[int]:
        """Return at most `SAMPLE` rows at equal distances, the first and the last included."""
        n_rows = self.shape[0]
        return [round(i) for i in np.linspace(0, n_rows - 1, min(n_rows, SAMPLE)).tolist()]

    def _read(self, rows: list[int], seed: int) -> Tensor:
        x = self._items.features(rows, seed)
        if x.dtype.kind == "f":
            bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
            if bad.any():
                index = rows[int(bad.argmax())]
                rule = (
                    "features loaded batch by batch must be finite; missing values are not imputed"
                )
                raise UserCodeError(f"{self.source}: item {index:,}: {rule}.")
        return torch.from_numpy(array_forms.feature_array(self.source, x))
