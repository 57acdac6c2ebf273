"""Store pictures of one size as bytes in a cache entry: read once, then mapped into memory."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunecli import __version__
from tunecli.data.cache.cached_datasets import dataset_of
from tunecli.data.cache.entries import SMALL, CacheEntry, NewArray
from tunecli.data.columns.cleaning import picture_copies
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.decoding import Depth, Pixels
from tunecli.data.rows.hardware import gib, main_memory
from tunecli.errors import DataError
from tunecli.study_file.settings.torchvision_splits import Part
from tunecli.study_file.text.counts import count

VERSIONS = (2, __version__, *map(importlib.metadata.version, ("torch", "torchvision", "pillow")))
"""Versions that may change how pictures are decoded; the first is tunecli's own."""


BYTES_A_PIXEL = 16
"""Bytes of memory per pixel while a picture is resized and becomes numbers."""


@dataclass(frozen=True)
class PictureForm:
    """The common form of all pictures of a set.

    Attributes:
        size: (height, width) in pixels.
        channels: 1 for grey, 3 for colour.
    """

    size: tuple[int, int]
    channels: int

    @property
    def n_bytes(self) -> int:
        """Bytes of one picture."""
        return self.channels * self.size[0] * self.size[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one picture."""
        return self.channels, *self.size


@dataclass(frozen=True)
class KnownPicture:
    """A decoded picture with its label, its part and its name in messages."""

    pixels: Pixels
    label: int
    part: Part
    name: str


class FlatPictures:
    """A counter of flat pictures, which sees pictures one by one.

    Attributes:
        n_flat: number of pictures of one colour so far.
    """

    def __init__(self) -> None:
        self.n_flat = 0
        self._n = 0
        self._n_black = 0
        self._first = ""

    def look_at(self, pixels: NDArray[Any], name: str) -> None:
        """Look at a picture, (channels, height, width), called `name` in messages."""
        self._n += 1
        if bool((pixels == pixels[:, :1, :1]).all()):
            self.n_flat += 1
            self._n_black += not np.any(pixels)
            self._first = self._first or name

    def check(self, n_different: int) -> None:
        """Refuse pictures that are all identical.

        Raises:
            DataError: there is nothing to learn.
        """
        if self._n > 1 and n_different == 1:
            how = " and black" if self._n_black else " and of one colour" if self.n_flat else ""
            message = f"all {count(self._n, 'picture')} are identical{how}, so there is nothing to"
            raise DataError(f"{message} learn. Check the files.", "data.source")

    @property
    def notes(self) -> list[str]:
        """A note on how many pictures are of one colour; empty if none is."""
        if not self.n_flat:
            return []
        n = f"{self.n_flat:,} of {count(self._n, 'picture')}"
        black = f" ({self._n_black:,} of them black)" if self._n_black else ""
        verb = "shows" if self.n_flat == 1 else "show"
        return [f"{n} {verb} a single colour{black}, such as {self._first}."]


def flat_pictures(x: NDArray[Any], n_different: int) -> FlatPictures:
    """Look at pictures in memory, (n, channels, height, width).

    Raises:
        DataError: all of them are identical.
    """
    flat = FlatPictures()
    for row, pixels in enumerate(x):
        flat.look_at(pixels, f"row {row}")
    flat.check(n_different)
    return flat


def filled(
    new: NewArray,
    n_pictures: int,
    form: PictureForm,
    pictures: Iterable[KnownPicture],
    classes: Sequence[str],
    notes: Sequence[str],
    depth: Depth | None = None,
) -> Mapping[str, Any]:
    """Write pictures into a cache entry as they arrive.

    Args:
        new: makes the arrays.
        n_pictures: the most pictures that may arrive; unused space takes no memory.
        notes: sentences; read after all pictures have arrived.
        depth: how pictures of more than 8 bits became bytes.

    Raises:
        DataError: all pictures are identical.
    """
    x = new("x", (n_pictures, *form.shape), np.uint8)
    flat = FlatPictures()
    labels: list[int] = []
    parts: list[Part] = []
    contents: list[bytes] = []
    for picture in pictures:
        x[len(labels)] = picture.pixels
        flat.look_at(picture.pixels, picture.name)
        contents.append(hashlib.sha256(x[len(labels)].tobytes()).digest())
        labels.append(picture.label)
        parts.append(picture.part)
    flat.check(len(set(contents)))
    y = new("y", (len(labels),), np.int64)
    y[...] = labels
    _give_splits(new, parts)
    copies = picture_copies(contents, labels)
    if copies is not None:
        new("copies", copies.shape, np.int64)[...] = copies
    fingerprint = hashlib.sha256(b"".join(contents))
    fingerprint.update(f"{form} {labels} {parts} {list(classes)}".encode())
    return {
        "task": "classification",
        "classes": list(classes),
        "columns": [],
        "target": "",
        "notes": [*notes, *flat.notes],
        "fingerprint": fingerprint.hexdigest(),
        "depth": None if depth is None else asdict(depth),
    }


def dataset_from(name: str, entry: CacheEntry) -> Dataset:
    """Return the data set that `filled` wrote to an entry, on the entry's memory."""
    dataset = dataset_of(name, entry)
    return replace(dataset, x=torch.from_numpy(entry.arrays["x"][: len(dataset.y)]))


def cache_for(n_pictures: int, form: PictureForm, cache: Path | None) -> Path | None:
    """Return where to cache the pictures: nowhere if decoding them is as fast as reading them."""
    return None if n_pictures * form.n_bytes <= SMALL else cache


def check_room(n_pictures: int, form: PictureForm, cache: Path | None) -> None:
    """Refuse a size for which memory and disk are too small, before anything is decoded.

    Args:
        cache: where the pictures will be cached; None for memory.

    Raises:
        DataError: the pictures need more than there is; with both numbers.
    """
    height, width = form.size
    what = f"{count(n_pictures, 'picture')} of {height:,} × {width:,} pixels"
    working = BYTES_A_PIXEL * height * width
    if working > main_memory():
        need = f"one picture of {height:,} × {width:,} pixels needs {gib(working)} of memory"
        raise DataError(
            f"{need}, but this machine has {gib(main_memory())}. Write a smaller size.",
            "data.size",
        )
    needed = n_pictures * form.n_bytes
    free = 0 if cache is None else _free(cache)
    if needed > max(free, main_memory()):
        disk = "" if cache is None else f" and {gib(free)} free on the disk of {cache}"
        there = f"this machine has {gib(main_memory())} of memory{disk}"
        message = f"{what} need {gib(needed)}, but {there}"
        raise DataError(f"{message}. Write a smaller size.", "data.size")


def _free(cache: Path) -> int:
    """Return the free bytes on the disk of a folder that need not exist yet."""
    there = next(folder for folder in (cache, *cache.absolute().parents) if folder.is_dir())
    return shutil.disk_usage(there).free


def _give_splits(new: NewArray, parts: Sequence[Part]) -> None:
    """Write the test rows and validation rows, if the source defines them."""
    marks: NDArray[Any] = np.array(parts)
    if (marks == "test").any():
        rows = np.flatnonzero(marks == "test")
        new("given_test", rows.shape, np.int64)[...] = rows
    if (marks == "valid").any():
        new("given_folds", marks.shape, np.int64)[...] = np.where(marks == "valid", 0, -1)
