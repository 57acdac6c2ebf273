"""The folder of multiprocessing's sockets in the temporary directory: marked, and cleared.

multiprocessing makes one, `pymp-…`, for all processes of a command and removes it at exit; one of
a killed command stays. A locked file in it says that it is tunecli's and that its owner lives: the
kernel frees the lock with the process, so a later command clears what is marked and free.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from multiprocessing import util
from pathlib import Path

_MARK = "tunecli.lock"


def claim() -> None:
    """Mark the folder of this process, unless it or its parent has; clear those of dead owners."""
    folder = Path(util.get_temp_dir())
    if (folder / _MARK).exists():
        return
    with suppress(OSError):  # a file system without locks: the folder stays unmarked
        new = folder / "unlocked"
        fcntl.flock(os.open(new, os.O_CREAT | os.O_EXCL), fcntl.LOCK_EX)  # until this process ends
        new.rename(folder / _MARK)  # never there without being locked
    for other in folder.parent.glob("pymp-*"):
        with suppress(OSError):
            _clear(other)


def _clear(folder: Path) -> None:
    """Remove a marked folder that nobody owns, with only what has a known name in it.

    Raises:
        OSError: it is not marked, its owner lives, or it holds something else.
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
    """Whether it is a folder, no link, where this user alone can write."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o77
