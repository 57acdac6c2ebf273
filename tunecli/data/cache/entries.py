"""Arrays that are made once and cached in files, for other processes and later searches.

The name of an entry's folder identifies everything that decides its content. The folder is written
under another name and renamed when it is complete and on the disk, so that a process that dies
while it writes leaves nothing that is ever read. Its arrays are mapped into memory: processes that
use the same ones share the pages.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tunecli.files.file_lock import in_turn
from tunecli.files.own import is_folder, make_folder, refuse_foreign
from tunecli.files.small import read_small
from tunecli.files.whole import whole_folder

Array = NDArray[Any]
NewArray = Callable[[str, tuple[int, ...], DTypeLike], Array]
"""Makes an array to fill, with a name, a shape and a type."""
Make = Callable[[NewArray], Mapping[str, Any]]
"""Fills arrays and returns the facts that belong to them, as plain data for JSON."""

FACTS = "facts.json"
_KEY = re.compile(r".+-[0-9a-f]{32}")
UNUSED_DAYS = 30
SMALL = 2**20
"""Up to this many bytes, each process makes the data itself: as fast, and without files."""


@dataclass(frozen=True)
class CacheEntry:
    """Arrays by name, and plain data. Writing to the arrays changes no file."""

    arrays: Mapping[str, Array]
    facts: Mapping[str, Any]


def kept(cache: Path | None, key: str, make: Make) -> CacheEntry:
    """Return the entry of this key from the cache, or make it.

    Only one process makes it; others wait. If nothing can be written (no space, no permission, a
    link in place of the folder), it is made in memory. If files cannot be locked, two processes
    may make the same entry at once; that is harmless, since both are equal and only one is kept.

    Args:
        cache: the folder of all entries; None to make it in memory.
        key: a file name that identifies everything that decides the content.
        make: makes the content, with the same bits each time.
    """
    if cache is None:
        return _in_memory(make)
    try:
        make_folder(cache)
        with in_turn(cache / f".{key}.lock"):
            entry = _read(cache / key)
            if entry is None:
                _write(cache, key, make)
                entry = _read(cache / key)
            return entry or _in_memory(make)
    except OSError:
        return _in_memory(make)


def key_of(kind: str, *parts: object) -> str:
    """Return a key: a word for people, and a hash of everything that decides the content."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def content_sha256(path: Path) -> str:
    """Return the SHA-256 hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_memory(make: Make) -> CacheEntry:
    arrays: dict[str, Array] = {}

    def new(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        arrays[name] = np.empty(shape, dtype)
        return arrays[name]

    facts = make(new)
    return CacheEntry(arrays, json.loads(json.dumps(facts)))


def _write(cache: Path, key: str, make: Make) -> None:
    """Make the entry in a temporary folder, and give that its name at the end."""
    _remove_unused(cache)
    with whole_folder(cache / key) as part:
        facts = make(lambda name, shape, dtype: _new_file(part / f"{name}.npy", shape, dtype))
        (part / FACTS).write_text(json.dumps(facts))


def _new_file(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Map a new file into memory, with disk space reserved: else writing may kill the process."""
    if 0 in shape:  # nothing to map
        empty = np.empty(shape, dtype)
        np.save(path, empty)
        return empty
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _read(folder: Path) -> CacheEntry | None:
    """Read an entry, its arrays writable in this process only; return None if it is incomplete."""
    try:
        refuse_foreign(folder, "folder")
        facts = json.loads(read_small(folder / FACTS))
        arrays = {path.stem: _mapped(path) for path in folder.glob("*.npy")}
        os.utime(folder)
    except (OSError, ValueError, EOFError, RecursionError):
        return None
    return CacheEntry(arrays, facts)


def _mapped(path: Path) -> Array:
    refuse_foreign(path, "file")  # opening a pipe would block
    array: Array = np.load(path, mmap_mode="c", allow_pickle=False)
    return array


def _remove_unused(cache: Path) -> None:
    """Remove entries unread for a month; processes that have one mapped can still read it."""
    oldest = time.time() - UNUSED_DAYS * 86400
    for entry in cache.iterdir():
        is_entry = _KEY.fullmatch(entry.name) is not None and is_folder(entry)
        if is_entry and entry.stat().st_mtime < oldest:
            shutil.rmtree(entry, ignore_errors=True)
