"""One process after another: whoever comes second waits until the first is done or gone."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunecli.files.own import NotOwnError, open_file

UNLOCKABLE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
"""What a file system without locks says."""


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait for a lock file and hold it; nobody waits where files cannot be locked.

    The file is empty and stays: to remove it would let two in that wait for the same one.

    Raises:
        OSError: it cannot be made, is a link, or a file of somebody else's.
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
