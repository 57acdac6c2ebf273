"""Which pictures a folder of class folders holds, and of which class and part each one is.

Either the folder holds the class folders, or it holds `train/` and perhaps `val/` and `test/`,
which do. Names and sizes are all that is read here.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunecli.data.cache import file_hash
from tunecli.errors import DataError
from tunecli.study_file.counts import count
from tunecli.study_file.suggestions import listed

Part = Literal["train", "valid", "test"]

PARTS: dict[str, Part] = {
    "train": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
}
"""Subfolders that are no classes, beside one called train."""
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif", ".heic"),
    *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Of pictures; other files are left out."""


@dataclass(frozen=True)
class PictureFile:
    """A file that may be a picture.

    Attributes:
        name: its path below the folder of its part, with `/`.
        named: its path as the study file would write it, for messages.
        identity: size and times in nanoseconds, which change with the content.
    """

    path: Path
    name: str
    named: str
    class_name: str
    part: Part
    identity: tuple[int, int, int]


@dataclass(frozen=True)
class ClassFolders:
    """The pictures of a source, in the order of parts, classes and names.

    Attributes:
        classes: of the training pictures, sorted.
        notes: what was left out.
    """

    files: tuple[PictureFile, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def rows(self, part: Part) -> list[int]:
        """Positions of a part's pictures."""
        return [i for i, file in enumerate(self.files) if file.part == part]


def own_parts(folder: Path) -> dict[Part, Path]:
    """The subfolders that are parts; empty if the folder holds the classes itself.

    `train` is a part only if it holds folders: else it is a class, whose pictures are in it.
    """
    names = _subfolders(folder)
    train = next((name for name in names if PARTS.get(name.lower()) == "train"), None)
    if train is None or not _subfolders(folder / train):
        return {}
    found: dict[Part, Path] = {}
    for name in names:
        part = PARTS.get(name.lower())
        if part is not None and part in found:
            message = f"{folder.name}/ holds both {found[part].name}/ and {name}/. Remove one."
            raise DataError(message, "data.source")
        if part is not None:
            found[part] = folder / name
    return found


def class_folders(parts: dict[Part, Path], named: dict[Part, str]) -> ClassFolders:
    """List the pictures of all parts.

    Args:
        parts: the folder of each part; it holds class folders.
        named: how messages call each of them.

    Raises:
        DataError: if a part has no pictures, there is one class only, or a part to judge by has a
            class that is not there to train on.
    """
    files: list[PictureFile] = []
    others: Counter[str] = Counter()
    for part in ("train", "valid", "test"):
        if part in parts:
            files += _listed(parts[part], part, named[part], others)
    classes = sorted({file.class_name for file in files if file.part == "train"})
    _check_classes(files, classes, named)
    notes = []
    if others:
        kinds = listed([kind for kind, _ in others.most_common(5)])
        n = sum(others.values())
        one, more = "is no picture by its name", "are no pictures by their names"
        left_out = count(n, f"file that {one} is", f"files that {more} are")
        notes.append(f"{left_out} left out ({kinds}).")
    return ClassFolders(tuple(files), tuple(classes), tuple(notes))


def content_hash(files: Sequence[PictureFile]) -> str:
    """SHA-256 of the names, parts and contents, in hexadecimal."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(
            f"{file.part}\0{file.name}\0{_hash(file)}\0".encode(errors="surrogateescape")
        )
    return digest.hexdigest()


def _hash(file: PictureFile) -> str:
    """Of a file's content; empty if it cannot be read, which is said when it is decoded."""
    try:
        return file_hash(file.path) if file.path.is_file() else ""
    except OSError:
        return ""


def _listed(folder: Path, part: Part, named: str, others: Counter[str]) -> list[PictureFile]:
    """The pictures of one part; `others` counts the suffixes of what is none."""
    classes = _subfolders(folder)
    if not classes:
        pictures = [n for n in _names(folder) if n.lower().endswith(SUFFIXES)]
        holds = (
            f"{count(len(pictures), 'picture')}, but no folders" if pictures else "nothing to read"
        )
        message = (
            f"{named} holds {holds}. It must hold a folder for each class, with its pictures."
        )
        raise DataError(message, "data.source")
    found: list[PictureFile] = []
    for name in classes:
        if as_text(name) != name:
            message = f"the class folder {as_text(named + name)!r} has a name that is not UTF-8."
            raise DataError(f"{message} Rename it.", "data.source")
        before = len(found)
        for path, below in walked(folder / name, name, (folder.resolve(),)):
            if not below.lower().endswith(SUFFIXES):
                others[path.suffix.lower() or "without a suffix"] += 1
                continue
            shown = as_text(named + below)
            found.append(PictureFile(path, below, shown, name, part, _identity(path)))
        if len(found) == before and part == "train":
            message = f"the class folder {named}{name}/ holds no pictures. Remove it, or fill it."
            raise DataError(
                f"{message} Pictures end in {listed(SUFFIXES[:6], last='or')}, …", "data.source"
            )
    return found


def as_text(name: str) -> str:
    r"""A file's name as text that can be written: bytes that are not UTF-8 as `\udcff`."""
    return name.encode(errors="backslashreplace").decode()


def walked(
    folder: Path, name: str = "", above: tuple[Path, ...] = ()
) -> Iterator[tuple[Path, str]]:
    """All files below a folder, sorted, and their names with those of the folders above.

    Links are followed. Hidden files, and what archives leave behind, are left out.

    Args:
        name: of the folder, before the names; empty for none.
        above: the folders that were gone through to this one, without links.

    Raises:
        DataError: a link leads to a folder above it, or a folder cannot be read.
    """
    real = folder.resolve()
    if any(other.is_relative_to(real) for other in above):
        message = f"{str(folder)!r} is a link to a folder that holds it, so its pictures would be"
        raise DataError(f"{message} read again and again. Remove the link.", "data.source")
    for entry in _names(folder):
        path, below = folder / entry, f"{name}/{entry}" if name else entry
        if path.is_dir():
            yield from walked(path, below, (*above, real))
        else:
            yield path, below


def _identity(path: Path) -> tuple[int, int, int]:
    """Size and times; of the link itself, where it leads to nothing."""
    try:
        status = path.stat()
    except OSError:
        status = path.lstat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _check_classes(
    files: Sequence[PictureFile], classes: Sequence[str], named: dict[Part, str]
) -> None:
    if len(classes) < 2:
        message = (
            f"{named['train']} holds one class only, {classes[0]!r}: two are needed to choose."
        )
        raise DataError(f"{message} Put the pictures of each class into a folder.", "data.source")
    for file in files:
        if file.class_name not in classes:
            message = (
                f"{named[file.part]} has the class {file.class_name!r}, which {named['train']} "
            )
            raise DataError(f"{message}does not have. Rename or remove its folder.", "data.source")


def _subfolders(folder: Path) -> list[str]:
    return [name for name in _names(folder) if (folder / name).is_dir()]


def _names(folder: Path) -> list[str]:
    """What lies in a folder, sorted; hidden things and what archives leave behind left out."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        message = f"{str(folder)!r} cannot be read ({error.strerror})."
        raise DataError(message, "data.source") from None
    return [name for name in names if not name.startswith((".", "__MACOSX"))]
