"""Temporary folders of a search on a cluster, cleared even if their owner was killed.

A process holds the lock of a file in its folder. The kernel frees it however the process ends, so
the next search on this machine recognizes and removes folders without an owner.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunecli.files.own import open_file

_PREFIX = "tunecli-ray-"
_LOCK = "owner.lock"


@contextmanager
def scratch_folder(name: str | None = None) -> Iterator[Path]:
    """Yield a folder that only this user can access, and remove it at the end.

    Its path is short: Ray's sockets are in it, whose paths may have at most 107 bytes.

    Args:
        name: processes that give the same name share one folder, and the last one removes it;
            None for a folder of this process.
    """
    _remove_left()
    folder, lock = _held(name)
    try:
        yield folder
    finally:
        _remove(folder, lock)
        os.close(lock)


def _held(name: str | None) -> tuple[Path, int]:
    """Return a folder, and a descriptor that holds its lock.

    Until the lock is held, another process may take the folder for one without an owner and remove
    it; then begin again.
    """
    while True:
        with suppress(FileNotFoundError):
            folder = _made(name)
            lock = open_file(folder / _LOCK, os.O_RDWR)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if _locks(lock, folder):
                return folder, lock
            os.close(lock)


def _locks(lock: int, folder: Path) -> bool:
    """Return whether a descriptor is that of a folder's present lock file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(lock), (folder / _LOCK).lstat())
    return False


def _made(name: str | None) -> Path:
    root = _root()
    if name is None:
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    folder = root / f"{_PREFIX}{name}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not _is_private(folder):
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder


def _root() -> Path:
    """Return the temporary directory, or `/tmp` if its path is too long for sockets."""
    root = Path(tempfile.gettempdir())
    return root if len(os.fsencode(root)) <= 16 else Path("/tmp")


def _remove_left() -> None:
    """Remove the folders of this user's processes that have ended."""
    for folder in _root().glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if _is_private(folder) and (folder / _LOCK).exists():
                lock = open_file(folder / _LOCK, os.O_RDWR)
                try:
                    _remove(folder, lock)
                finally:
                    os.close(lock)


def _remove(folder: Path, lock: int) -> None:
    """Remove a folder unless another process holds its lock.

    It is renamed first: a process that wants a folder of that name makes a new one at once.
    """
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _locks(lock, folder):
            gone = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def _is_private(folder: Path) -> bool:
    status = folder.lstat()  # once: another process may remove it
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return is_ours and not status.st_mode & 0o77
