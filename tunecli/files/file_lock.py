"""Let one process at a time use a resource; others wait until it is done or dead."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunecli.files.own import NotOwnError, open_file

UNLOCKABLE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
"""Errors of file systems without locks."""


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait for a lock file and hold it; without waiting where files cannot be locked.

    The file is empty and stays: removing it would let in two processes that wait for it.

    Raises:
        OSError: the file cannot be made, is a link, or was not made by tunecli.
    """
    descriptor = open_file(path, os.O_RDWR)
    try:
        if os.fstat(descriptor).st_size:
            raise NotOwnError(path, "it is a file that tunecli did not write")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in UNLOCKABLE:
                raise
        yield
    finally:
        os.close(descriptor)
