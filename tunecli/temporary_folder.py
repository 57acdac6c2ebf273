"""Mark and clear the folders of multiprocessing's sockets in the temporary directory.

multiprocessing makes one, `pymp-…`, for all processes of a command and removes it at exit, but not
if the command is killed. A locked file in it shows that tunecli made it and that its owner is
alive: the kernel frees the lock with the process, so a later command can clear folders that are
marked but not locked.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from contextlib import suppress
from multiprocessing import util
from pathlib import Path

_MARK = "tunecli.lock"

_LONGEST = 71
"""Bytes of a temporary directory's path: those of a socket are at most 103 on macOS, 107 on Linux,
and multiprocessing adds 32."""


def claim() -> None:
    """Mark the folder of this process, unless it is marked already; clear those of dead owners."""
    folder = _folder()
    if (folder / _MARK).exists():
        return
    with suppress(OSError):  # a file system without locks: the folder stays unmarked
        new = folder / "unlocked"
        fcntl.flock(os.open(new, os.O_CREAT | os.O_EXCL), fcntl.LOCK_EX)  # until this process ends
        new.rename(folder / _MARK)  # so the mark is always locked
    for other in folder.parent.glob("pymp-*"):
        with suppress(OSError):
            _clear(other)


def _folder() -> Path:
    """Return multiprocessing's folder, where the path of a socket is short enough for the system.

    A temporary directory with a long path, as on some clusters, gives way to `/tmp`.
    """
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST:
        tempfile.tempdir = "/tmp"
    try:
        return Path(util.get_temp_dir())
    finally:
        tempfile.tempdir = before


def _clear(folder: Path) -> None:
    """Remove a marked folder without an owner, if it holds only files of known names.

    Raises:
        OSError: the folder is not marked, its owner is alive, or it holds something else.
    """
    if not _is_ours(folder):
        return
    mark = os.open(folder / _MARK, os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in (*folder.glob("listener-*"), folder / _MARK):
            path.unlink()
        folder.rmdir()
    finally:
        os.close(mark)


def _is_ours(folder: Path) -> bool:
    """Return whether it is a folder, not a link, and only this user can access it."""
    status = folder.lstat()
    is_private = status.st_uid == os.getuid() and not status.st_mode & 0o77
    return stat.S_ISDIR(status.st_mode) and is_private
