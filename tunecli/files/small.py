"""Read files that somebody else may have named or made: regular ones of limited size."""

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
"""Size limit in bytes; no file that tunecli writes for its own later use is larger."""


def read_small(path: Path, limit: int = LARGEST) -> bytes:
    """Return the whole content of a regular file.

    Other kinds are refused: a pipe would block, and a device such as `/dev/zero` never ends.

    Args:
        limit: largest size in bytes.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger; `strerror` gives the
            reason.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
            raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
        content = b"" if status.st_size > limit else file.read(limit + 1)
    if status.st_size > limit or len(content) > limit:  # it may have grown meanwhile
        raise OSError(errno.EINVAL, f"it is larger than {limit:,} bytes", str(path))
    return content


def _without_waiting(path: str, flags: int) -> int:
    """Open pipes without blocking, and terminals without making them this process's own."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
