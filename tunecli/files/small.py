"""Reading a file that somebody else may have named or made: a regular one of bounded size."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


LARGEST = 2**28
"""Bytes: more than any file that tunecli itself writes for the next call."""


def read_small(path: Path, limit: int = LARGEST) -> bytes:
    """Return the whole content of a regular file.

    A pipe would be waited for, and a device such as `/dev/zero` never ends.

    Args:
        limit: bytes that it may have.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger; `strerror` says which.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
            raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
        content = b"" if found.st_size > limit else file.read(limit + 1)
    if found.st_size > limit or len(content) > limit:  # it may grow meanwhile
        raise OSError(errno.EINVAL, f"it is larger than {limit:,} bytes", str(path))
    return content


def _without_waiting(path: str, flags: int) -> int:
    """Open a pipe at once, too, and no terminal as this process's own."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
