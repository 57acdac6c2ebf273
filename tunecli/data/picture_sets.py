"""Pictures of one size as bytes, in an entry of the cache: read once, then mapped into memory."""

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
from tunecli.data.cache import SMALL, Entry, NewArray
from tunecli.data.class_folders import Part
from tunecli.data.cleaning import picture_copies
from tunecli.data.dataset import Dataset
from tunecli.data.decoding import Pixels
from tunecli.data.depth import Depth
from tunecli.data.flat_pictures import FlatPictures
from tunecli.data.hardware import memory
from tunecli.data.kept_sets import dataset_of
from tunecli.errors import DataError
from tunecli.study_file.counts import count

VERSIONS = (2, __version__, *map(importlib.metadata.version, ("torch", "torchvision", "pillow")))
"""What may change how pictures are decoded; the first counts the ways of this program."""


BYTES_A_PIXEL = 16
"""Of memory, while a picture is brought to its size and becomes numbers."""


@dataclass(frozen=True)
class Form:
    """What all pictures of a set are brought to.

    Attributes:
        size: (height, width) in pixels.
        channels: 1 for grey, 3 for colour.
    """

    size: tuple[int, int]
    channels: int

    @property
    def n_bytes(self) -> int:
        """Of one picture."""
        return self.channels * self.size[0] * self.size[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture."""
        return self.channels, *self.size


@dataclass(frozen=True)
class Described:
    """A picture with what is known of it, and how messages call it."""

    pixels: Pixels
    label: int
    part: Part
    name: str


def is_small(n_pictures: int, form: Form) -> bool:
    """Whether the pictures are as soon decoded as read from the cache."""
    return n_pictures * form.n_bytes <= SMALL


def filled(
    new: NewArray,
    n_pictures: int,
    form: Form,
    pictures: Iterable[Described],
    classes: Sequence[str],
    notes: Sequence[str],
    depth: Depth | None = None,
) -> Mapping[str, Any]:
    """Write pictures into an entry as they come.

    Args:
        new: makes the arrays.
        n_pictures: at most; what is left empty takes no room in memory.
        notes: read once all pictures have come.
        depth: how those of more than 8 bits became bytes.

    Raises:
        DataError: all pictures are the same.
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


def dataset_from(name: str, entry: Entry) -> Dataset:
    """The data set that `filled` left in an entry, on its memory."""
    dataset, depth = dataset_of(name, entry), entry.facts["depth"]
    x = torch.from_numpy(entry.arrays["x"][: len(dataset.y)])
    return replace(dataset, x=x, depth=None if depth is None else Depth(**depth))


def cache_for(n_pictures: int, form: Form, cache: Path | None) -> Path | None:
    """Where the pictures are kept: nowhere if they are few and small."""
    return None if is_small(n_pictures, form) else cache


def check_room(n_pictures: int, form: Form, cache: Path | None) -> None:
    """Refuse a size for which there is no room, before anything is decoded.

    Args:
        cache: where the pictures will be kept; None for memory.

    Raises:
        DataError: what they would need, and what there is.
    """
    height, width = form.size
    what = f"{count(n_pictures, 'picture')} of {height:,} × {width:,} pixels"
    working = BYTES_A_PIXEL * height * width
    if working > memory():
        need = f"one picture of {height:,} × {width:,} pixels needs {_gib(working)} of memory"
        raise DataError(f"{need}, which has {_gib(memory())}. Write a smaller size.", "data.size")
    needed = n_pictures * form.n_bytes
    free = 0 if cache is None else _free(cache)
    if needed > max(free, memory()):
        disk = "" if cache is None else f" and the disk of {cache} {_gib(free)} free"
        message = f"{what} need {_gib(needed)}, but memory has {_gib(memory())}{disk}"
        raise DataError(f"{message}. Write a smaller size.", "data.size")


def _free(cache: Path) -> int:
    """Bytes that are free on the disk of a folder that need not be there yet."""
    there = next(folder for folder in (cache, *cache.absolute().parents) if folder.is_dir())
    return shutil.disk_usage(there).free


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:,.1f} GiB"


def _give_splits(new: NewArray, parts: Sequence[Part]) -> None:
    """The rows of the test, and those that validate, where the source brings them."""
    marks: NDArray[Any] = np.array(parts)
    if (marks == "test").any():
        rows = np.flatnonzero(marks == "test")
        new("given_test", rows.shape, np.int64)[...] = rows
    if (marks == "valid").any():
        new("given_folds", marks.shape, np.int64)[...] = np.where(marks == "valid", 0, -1)
