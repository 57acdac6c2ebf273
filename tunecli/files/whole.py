"""Write files and folders atomically: however the writer ends, others see all or nothing.

New content is written next to the old under a temporary name, flushed to the disk, and renamed in
one step. If the disk is full, the old content is unchanged. Leftovers of a killed writer are
removed when the same name is written again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunecli.errors import OutputError
from tunecli.files.own import is_folder

PART = r"\.[0-9a-f]{8}\.part"
"""Pattern of the ending of the temporary name of an incomplete file or folder."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file next to `path`; it is renamed to `path` at the end, or removed.

    A link of that name is replaced, not followed; an existing file's permissions are kept.

    Raises:
        OSError: the file cannot be written; the old file is unchanged. Errors of the body pass
            through likewise.
    """
    if path.exists() and not os.access(path, os.W_OK):  # a rename would ignore this
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    with _part_of(path, is_folder=False) as part:
        with suppress(FileNotFoundError):
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        yield part
        to_disk(part)
        part.replace(path)
        to_disk(path.parent)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Do the same for a file that must not exist yet, and must not appear meanwhile.

    Raises:
        FileExistsError: the file exists.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    try:
        with whole_file(path) as part:
            yield part
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def users_file(path: Path, *, is_new: bool = False) -> Iterator[Path]:
    """Do the same for a file that the user names; a link is followed to its target.

    A device or pipe, such as `/dev/stdout`, is written directly.

    Args:
        is_new: whether the file must not exist yet.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if path.exists() and not path.is_file() and not is_new:
        yield path
        return
    target = path if is_new else Path(os.path.realpath(path))
    with (new_file if is_new else whole_file)(target) as part:
        yield part


@contextmanager
def output(path: Path, *, option: str = "", is_new: bool = False) -> Iterator[Path]:
    """Yield a file to write, which is renamed to `path` at the end; see `users_file`.

    Args:
        option: the option that names the file, for messages.
        is_new: whether the file must not exist yet.

    Raises:
        OutputError: space, the folder or the permission to write is missing; the old file is
            unchanged.
    """
    try:
        with users_file(path, is_new=is_new) as part:
            yield part
    except OSError as error:
        raise OutputError(path, error, option) from None


@contextmanager
def whole_folder(path: Path, keep: Callable[[Path], object] | None = None) -> Iterator[Path]:
    """Yield a temporary folder next to `path`; it is renamed to `path` at the end, or removed.

    A writer that is killed between its two renames leaves the old folder at `set_aside`.

    Args:
        keep: moves the old folder to a place where it stays; by default it is removed. Also called
            for the old folder of a writer that was killed.

    Raises:
        OSError: the folder cannot be written; the old folder is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _part_of(path, is_folder=True) as part:
        yield part
        for written in (*part.rglob("*"), part):
            to_disk(written)
        _replace_folder(part, path, keep or _remove)


def set_aside(path: Path) -> Path:
    """Return the path of the old folder for the moment in which a new one takes its name."""
    return path.with_name(f".{path.name}.old")


def to_disk(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk; not all systems can flush folders."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise
    finally:
        os.close(descriptor)


def _replace_folder(part: Path, path: Path, discard: Callable[[Path], object]) -> None:
    old = set_aside(path)
    if is_folder(old):
        discard(old)
    if is_folder(path):
        path.rename(old)
    part.rename(path)
    to_disk(path.parent)
    if is_folder(old):
        discard(old)


@contextmanager
def _part_of(path: Path, *, is_folder: bool) -> Iterator[Path]:
    """Yield a new temporary file or folder next to `path`, and remove it if the body fails.

    It is locked meanwhile, so that other writers know that this one is alive.
    """
    _remove_left(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    if is_folder:
        part.mkdir()
    flags = os.O_RDONLY if is_folder else os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = os.open(part, flags | os.O_CLOEXEC, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield part
    except BaseException:
        _remove(part)
        raise
    finally:
        os.close(descriptor)


def _remove_left(path: Path) -> None:
    """Remove leftovers of killed writers of this name; files that may be in use stay."""
    # SQLite writes a journal beside a temporary file.
    ours = re.compile(rf"\.{re.escape(path.name)}{PART}(-journal)?")
    with suppress(OSError):
        for entry in os.scandir(path.parent):
            if ours.fullmatch(entry.name) and not _is_written(entry.path):
                _remove(Path(entry.path))


def _remove(left: Path) -> None:
    if left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _is_written(path: str) -> bool:
    """Return whether a writer may be using the file now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
    except OSError:
        return True
    return False
