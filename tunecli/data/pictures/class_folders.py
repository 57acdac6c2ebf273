"""List the pictures or texts of a folder of class folders, each with its class and part.

Either the folder contains the class folders, or it contains `train/` and maybe `val/` and `test/`,
which do. Only names and sizes are read here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunecli.errors import DataError
from tunecli.study_file.settings.source_kinds import PICTURE_FILES
from tunecli.study_file.settings.torchvision_splits import Part
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import listed

PARTS: dict[str, Part] = {
    "train": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
}
"""Subfolders that are parts, not classes, if one of them is called train."""


@dataclass(frozen=True)
class FileKind:
    """A kind of file whose class is its folder.

    Attributes:
        noun: what a file is, for people.
        suffixes: how the names of such files end, in lower case.
    """

    noun: str
    suffixes: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Return whether a file is of this kind, by its name."""
        return name.lower().endswith(self.suffixes)


PICTURES = FileKind("picture", PICTURE_FILES)
TEXT_FILES = FileKind("text", (".txt",))


@dataclass(frozen=True)
class PartFolder:
    """The folder of a part, which contains class folders; and its name in messages."""

    path: Path
    named: str


@dataclass(frozen=True)
class PictureFile:
    """A file that may be a picture, or is a text.

    Attributes:
        name: its path relative to the folder of its part, with `/`.
        named: its path in messages, as the study file would write it.
        identity: its size and times in nanoseconds, which change with the content.
    """

    path: Path
    name: str
    named: str
    class_name: str
    part: Part
    identity: tuple[int, int, int]


@dataclass(frozen=True)
class ClassFolders:
    """The pictures or texts of a source, in the order of parts, classes and names.

    Attributes:
        classes: the classes of the training files, sorted.
        notes: sentences on what was left out.
    """

    files: tuple[PictureFile, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def own_parts(folder: Path) -> dict[Part, Path]:
    """Return the subfolders that are parts; empty if the folder contains the classes itself.

    `train` is a part only if it contains folders: else it is a class that contains pictures.
    """
    names = _subfolders(folder)
    train = next((name for name in names if PARTS.get(name.lower()) == "train"), None)
    if train is None or not _subfolders(folder / train):
        return {}
    folders: dict[Part, Path] = {}
    for name in names:
        part = PARTS.get(name.lower())
        if part is not None and part in folders:
            both = f"{folders[part].name}/ and {name}/"
            raise DataError(f"{folder.name}/ contains both {both}. Remove one.", "data.source")
        if part is not None:
            folders[part] = folder / name
    return folders


def class_folders(parts: Mapping[Part, PartFolder], kind: FileKind = PICTURES) -> ClassFolders:
    """List the files of a kind of all parts.

    Raises:
        DataError: a part has no such files, there is only one class, or a validation or test part
            has a class without training files.
    """
    files: list[PictureFile] = []
    others: Counter[str] = Counter()
    for part in ("train", "valid", "test"):
        if part in parts:
            files += _listed(parts[part], part, kind, others)
    classes = sorted({file.class_name for file in files if file.part == "train"})
    _check_classes(files, classes, parts, kind)
    notes = []
    if others:
        kinds = listed([kind for kind, _ in others.most_common(5)])
        n = sum(others.values())
        without = f"without the suffix of a {kind.noun}"
        left_out = count(n, f"file {without} is", f"files {without} are")
        notes.append(f"{left_out} left out ({kinds}).")
    return ClassFolders(tuple(files), tuple(classes), tuple(notes))


def holds_texts(folder: Path) -> bool:
    """Return whether a folder of class folders contains texts, and no picture."""
    found = False
    for path, _ in walked(folder):
        if PICTURES.has(path.name):
            return False
        found = found or TEXT_FILES.has(path.name)
    return found


def _listed(
    given: PartFolder, part: Part, kind: FileKind, others: Counter[str]
) -> list[PictureFile]:
    """List the files of one part; `others` counts the suffixes of all other files."""
    folder, named = given.path, given.named
    classes = _subfolders(folder)
    if not classes:
        n = len([name for name in _names(folder) if kind.has(name)])
        content = f"{count(n, kind.noun)}, but no folders" if n else "nothing to read"
        way = f"It must contain one folder per class, with its {kind.noun}s."
        raise DataError(f"{named} contains {content}. {way}", "data.source")
    files: list[PictureFile] = []
    for name in classes:
        if as_text(name) != name:
            message = f"the class folder {as_text(named + name)!r} has a name that is not UTF-8."
            raise DataError(f"{message} Rename it.", "data.source")
        before = len(files)
        for path, below in walked(folder / name, name, (folder.resolve(),)):
            if not kind.has(below):
                others[path.suffix.lower() or "without a suffix"] += 1
                continue
            in_messages = as_text(named + below)
            files.append(PictureFile(path, below, in_messages, name, part, _identity(path)))
        if len(files) == before and part == "train":
            message = f"the class folder {named}{name}/ contains no {kind.noun}s"
            ends = listed(kind.suffixes[:6], last="or") + (", …" if kind.suffixes[6:] else ".")
            way = f"Remove or fill it. {kind.noun.capitalize()} files end in {ends}"
            raise DataError(f"{message}. {way}", "data.source")
    return files


def as_text(name: str) -> str:
    r"""Return a file's name as text that can be written: bytes that are not UTF-8 as `\udcff`."""
    return name.encode(errors="backslashreplace").decode()


def walked(
    folder: Path, name: str = "", above: tuple[Path, ...] = ()
) -> Iterator[tuple[Path, str]]:
    """Yield all files below a folder, sorted, with their names relative to it.

    Links are followed. Hidden files and leftovers of archives are left out.

    Args:
        name: a prefix of the names, such as that of the folder; empty for none.
        above: the folders on the way to this one, with links resolved.

    Raises:
        DataError: a link leads to a folder above it, or a folder cannot be read.
    """
    real = folder.resolve()
    if any(other.is_relative_to(real) for other in above):
        message = f"{str(folder)!r} is a link to a folder that contains it, so its files would"
        raise DataError(f"{message} be read endlessly. Remove the link.", "data.source")
    for entry in _names(folder):
        path, below = folder / entry, f"{name}/{entry}" if name else entry
        if path.is_dir():
            yield from walked(path, below, (*above, real))
        else:
            yield path, below


def _identity(path: Path) -> tuple[int, int, int]:
    """Return size and times of a file; those of the link itself if it is broken."""
    try:
        status = path.stat()
    except OSError:
        status = path.lstat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _check_classes(
    files: Sequence[PictureFile],
    classes: Sequence[str],
    parts: Mapping[Part, PartFolder],
    kind: FileKind,
) -> None:
    train = parts["train"].named
    if len(classes) < 2:
        message = f"{train} contains only one class, {classes[0]!r}, but needs at least two"
        way = f"Put the {kind.noun}s of each class into a separate folder."
        raise DataError(f"{message}. {way}", "data.source")
    for file in files:
        if file.class_name not in classes:
            message = f"{parts[file.part].named} has the class {file.class_name!r}, which {train} "
            raise DataError(f"{message}does not have. Rename or remove its folder.", "data.source")


def _subfolders(folder: Path) -> list[str]:
    return [name for name in _names(folder) if (folder / name).is_dir()]


def _names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted, without hidden ones and leftovers of archives."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        message = f"{str(folder)!r} cannot be read ({error.strerror})."
        raise DataError(message, "data.source") from None
    return [name for name in names if not name.startswith((".", "__MACOSX"))]
