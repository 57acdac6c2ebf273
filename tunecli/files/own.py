"""Files and folders that tunecli made: reached without following a link, and alone cleaned up.

A folder of studies may come from somebody else, and a link in it, or a second name of a file,
leads to what is not the study's. So nothing is written, and nothing deleted, through either.
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
    """What has the name of something of tunecli's is a link, or of another kind.

    Attributes:
        strerror: what it is, in words.
    """

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(errno.ELOOP, what, str(path))

    def __str__(self) -> str:
        return f"{self.filename} {str(self.strerror).removeprefix('it ')}"


def refuse_foreign(path: Path, kind: Kind) -> None:
    """Let only a real file with one name, a real folder, or nothing have this name.

    Raises:
        NotOwnError: something else has it.
        OSError: nobody may look.
    """
    with suppress(FileNotFoundError):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise NotOwnError(path, f"it is a symbolic link to {_printable(os.readlink(path))}")
        _refuse_other_kind(path, found, kind)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _refuse_other_kind(path: Path, found: os.stat_result, kind: Kind) -> None:
    is_one = stat.S_ISREG if kind == "file" else stat.S_ISDIR
    if not is_one(found.st_mode):
        raise NotOwnError(path, f"it is not a {kind}")
    if kind == "file" and found.st_nlink > 1:  # 0: it was removed a moment ago
        raise NotOwnError(path, f"it has {found.st_nlink} names (hard links)")


def open_file(path: Path, flags: int) -> int:
    """Open a file of tunecli's, which is made where there is none; the flags are `os.open`'s.

    Do not pass O_TRUNC, which empties a file before it is known whose it is.

    Raises:
        NotOwnError: it is a link, no file, or has other names.
        OSError: it cannot be opened.
    """
    safe = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO would wait
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
    """Make a folder of tunecli's, and one in it after another, unless they are there.

    Args:
        below: names of folders, each in the one before.

    Returns:
        the last one.

    Raises:
        NotOwnError: one of them is a link, or no folder.
        OSError: one cannot be made.
    """
    refuse_foreign(path, "folder")
    path.mkdir(parents=True, exist_ok=True)
    return make_folder(path / below[0], *below[1:]) if below else path


def is_folder(path: Path) -> bool:
    """Whether this is a folder itself, and no link to one."""
    return path.is_dir() and not path.is_symlink()


@contextmanager
def opened_folder(path: Path | str, within: int | None = None) -> Iterator[int]:
    """A descriptor of a real folder.

    Args:
        within: descriptor of the folder that the path starts from.

    Raises:
        OSError: there is none, or it is a link.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove_files(folder: Path | str, ours: re.Pattern[str], within: int | None = None) -> None:
    """Remove what tunecli made in a folder, as far as that goes, and the folder once it is empty.

    A link is not followed, neither to the folder nor in it; what has another name stays.

    Args:
        ours: names of the files, and of the folders with all that is in them.
        within: descriptor of the folder that the path starts from.
    """
    with suppress(OSError):  # there is none, it is a link, or something else is in it
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
