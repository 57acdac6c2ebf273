"""Files and folders that are written whole: whatever ends the writer, others see all or nothing.

What is new is written beside the old under a name of its own, goes to the disk, and takes the name
of the old in one step. With the disk full the old one stays as it was. What a killed writer left
beside goes when the same name is written again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunecli.files.own import is_folder

PART = r"\.[0-9a-f]{8}\.part"
"""How the names end that files and folders have until they are whole."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A new file beside `path`, to be written; it takes that name at the end, or is gone.

    A link of that name is replaced, not followed; the rights of a file of that name are kept.

    Raises:
        OSError: it cannot be written, as what the body raises; the old file is as it was.
    """
    if path.exists() and not os.access(path, os.W_OK):  # a rename would not ask
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    _remove_left(path)
    part = _beside(path)
    with _in_use(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)):
        try:
            with suppress(FileNotFoundError):
                part.chmod(stat.S_IMODE(path.stat().st_mode))
            yield part
            to_disk(part)
            part.replace(path)
            to_disk(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """The same for a file that must not be there yet, nor come meanwhile.

    Raises:
        FileExistsError: it is there.
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
    """The same for a file that the user named: through a link, whose target is the one meant.

    A device or a pipe, as `/dev/stdout`, is written to itself.

    Args:
        is_new: whether it must not be there yet.
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
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, to be filled; it takes that name at the end, or is gone.

    A writer that is killed between its two renames leaves the old folder as `set_aside` says.

    Raises:
        OSError: it cannot be written; the old folder is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(path)
    part = _beside(path)
    part.mkdir()
    with _in_use(os.open(part, os.O_RDONLY | os.O_CLOEXEC)):
        try:
            yield part
            for written in (*part.iterdir(), part):
                to_disk(written)
            _replace_folder(part, path)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


def set_aside(path: Path) -> Path:
    """Where the old folder is for a moment while a new one takes its name."""
    return path.with_name(f".{path.name}.old")


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; some systems need not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise
    finally:
        os.close(descriptor)


def _replace_folder(part: Path, path: Path) -> None:
    old = set_aside(path)
    if is_folder(old):
        shutil.rmtree(old, ignore_errors=True)
    if is_folder(path):
        path.rename(old)
    part.rename(path)
    to_disk(path.parent)
    if is_folder(old):
        shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


@contextmanager
def _in_use(descriptor: int) -> Iterator[None]:
    """Show other writers that this one lives, as long as the descriptor is open."""
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_left(path: Path) -> None:
    """Remove what killed writers of this name left; where nobody can tell, it stays."""
    ours = re.compile(rf"\.{re.escape(path.name)}{PART}(-journal)?")  # SQLite's, of a part
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
    """Whether somebody writes it now, or that cannot be known."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
