"""Open and remove only files and folders that tunecli made, without following links.

A folder of studies may come from somebody else. A link in it, or a hard link to a file, may lead
outside the study, so tunecli writes and deletes nothing through either.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

Kind = Literal["file", "folder"]


class NotOwnError(OSError):
    """A path that tunecli wants to use is a link, or something of another kind.

    Attributes:
        strerror: what the path is, as in "it is not a file".
    """

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(errno.ELOOP, what, str(path))

    def __str__(self) -> str:
        return f"{self.filename} {str(self.strerror).removeprefix('it ')}"


def refuse_foreign(path: Path, kind: Kind) -> None:
    """Refuse a path unless it is a real file without hard links, a real folder, or missing.

    Raises:
        NotOwnError: the path is something else.
        OSError: the path cannot be examined.
    """
    with suppress(FileNotFoundError):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise NotOwnError(path, f"it is a symbolic link to {_printable(os.readlink(path))}")
        _refuse_other_kind(path, status, kind)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _refuse_other_kind(path: Path, status: os.stat_result, kind: Kind) -> None:
    is_one = stat.S_ISREG if kind == "file" else stat.S_ISDIR
    if not is_one(status.st_mode):
        raise NotOwnError(path, f"it is not a {kind}")
    if kind == "file" and status.st_nlink > 1:  # 0: it was just removed
        raise NotOwnError(path, f"it has {status.st_nlink} hard links")


def open_file(path: Path, flags: int) -> int:
    """Open a file of tunecli, and create it if it is missing; the flags are those of `os.open`.

    Do not pass O_TRUNC, which empties a file before it is checked.

    Raises:
        NotOwnError: it is a link, is not a file, or has hard links.
        OSError: it cannot be opened.
    """
    safe = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO would block
    try:
        descriptor = os.open(path, flags | safe, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            refuse_foreign(path, "file")
        raise
    try:
        _refuse_other_kind(path, os.fstat(descriptor), "file")
    except NotOwnError:
        os.close(descriptor)
        raise
    return descriptor


def make_folder(path: Path, *below: str) -> Path:
    """Make a folder of tunecli and nested folders in it, unless they exist.

    Args:
        below: names of folders, each inside the one before.

    Returns:
        the innermost folder.

    Raises:
        NotOwnError: one of them is a link, or is not a folder.
        OSError: one of them cannot be made.
    """
    refuse_foreign(path, "folder")
    path.mkdir(parents=True, exist_ok=True)
    return make_folder(path / below[0], *below[1:]) if below else path


def is_folder(path: Path) -> bool:
    """Return whether this is a folder, not a link to one."""
    return path.is_dir() and not path.is_symlink()


@contextmanager
def opened_folder(path: Path | str, within: int | None = None) -> Iterator[int]:
    """Yield a descriptor of a real folder.

    Args:
        within: descriptor of the folder that the path is relative to.

    Raises:
        OSError: the folder does not exist, or is a link.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove_empty(*folders: Path) -> None:
    """Remove folders that are empty, in this order; others, and links, stay."""
    for folder in folders:
        with suppress(OSError):
            os.rmdir(folder)


def remove_files(folder: Path | str, ours: re.Pattern[str], within: int | None = None) -> None:
    """Remove as much as possible of what tunecli made in a folder, and the folder if empty then.

    Links are not followed, neither to the folder nor in it; files of other names stay.

    Args:
        ours: matches the names of files, and of folders to remove with all their contents.
        within: descriptor of the folder that the path is relative to.
    """
    with suppress(OSError):  # it is missing, is a link, or holds something else
        with opened_folder(folder, within) as descriptor:
            for name in filter(ours.fullmatch, os.listdir(descriptor)):
                _remove(name, descriptor)
        os.rmdir(folder, dir_fd=within)


def _remove(name: str, within: int) -> None:
    mode = os.lstat(name, dir_fd=within).st_mode
    if stat.S_ISDIR(mode):
        shutil.rmtree(name, ignore_errors=True, dir_fd=within)
    elif stat.S_ISREG(mode):
        os.unlink(name, dir_fd=within)
