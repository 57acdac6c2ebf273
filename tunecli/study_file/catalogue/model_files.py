"""Recognize changes of the files that models start from: word vectors, and pretrained models.

A digest identifies a file's content. A file whose size and time are as before is not read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tunecli.errors import DataError
from tunecli.study_file.catalogue.pretrained_folders import pretrained_folder

NAMES_FILES = ("pretrained", "vectors")
"""Arguments of models that name a file or a folder to start from."""

_OF_FOLDER = ("config.json", "tokenizer.json", "*.safetensors", "*.safetensors.index.json")


@dataclass(frozen=True)
class FileState:
    """The content of a file.

    Attributes:
        size: in bytes.
        mtime: time of the last change, in nanoseconds.
        digest: hexadecimal SHA-256.
    """

    size: int
    mtime: int
    digest: str


ModelFiles = Mapping[str, Mapping[str, FileState]]
"""Files by their names, for each name of a file or folder in the study file."""


def model_files(names: Iterable[str], folder: Path, before: ModelFiles) -> ModelFiles:
    """Return the state of the files that the arguments of models name.

    Args:
        names: files and folders relative to `folder`, or names of pretrained models of the hub.
        folder: the folder of the study file.
        before: earlier states.
    """
    return {name: dict(_states(name, folder, before.get(name, {}))) for name in names}


def changed_model_files(before: ModelFiles, now: ModelFiles) -> list[str]:
    """Return the files whose content differs, that are new, or that are missing.

    A name that only one of the two has is left out.
    """
    return [
        name if file == Path(name).name else f"{name}/{file}"
        for name in before
        if name in now
        for file in sorted({*before[name], *now[name]})
        if _digest(before[name], file) != _digest(now[name], file)
    ]


def _digest(states: Mapping[str, FileState], file: str) -> str:
    return states[file].digest if file in states else ""


def _states(
    name: str, folder: Path, before: Mapping[str, FileState]
) -> Iterator[tuple[str, FileState]]:
    for path in _files(name, folder):
        with suppress(OSError):
            yield path.name, _state(path, before.get(path.name))


def _files(name: str, folder: Path) -> list[Path]:
    """Return the file of this name, or the files of the pretrained model, if there are any."""
    if (folder / name).is_file():
        return [folder / name]
    try:
        found = pretrained_folder(name, folder)
    except DataError:
        return []
    return sorted({path for pattern in _OF_FOLDER for path in found.glob(pattern)})


def _state(path: Path, before: FileState | None) -> FileState:
    found = path.stat()
    if before is not None and (before.size, before.mtime) == (found.st_size, found.st_mtime_ns):
        return before
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileState(found.st_size, found.st_mtime_ns, digest)
