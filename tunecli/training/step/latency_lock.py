"""Quiet on the machine while a latency is measured: processes that compute wait meanwhile.

Each process holds a shared lock while it computes, and whoever measures takes the lock alone. A
gate in front keeps new rounds from beginning while somebody waits for quiet. The kernel releases
the locks of a process that ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunecli.files.own import make_folder, open_file


class LatencyLock:
    """The lock of all processes that are given the same folder.

    Args:
        folder: for the two files; None where nobody measures, so that nobody waits.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @contextmanager
    def working(self) -> Iterator[None]:
        """For a while of computing, that others do not interrupt; not within `alone`."""
        if self._folder is None:
            yield
            return
        with self._locked("gate", fcntl.LOCK_SH):
            pass
        with self._locked("machine", fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else is within `working`; not within it either."""
        if self._folder is None:
            yield
            return
        with self._locked("gate", fcntl.LOCK_EX), self._locked("machine", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        assert self._folder is not None
        make_folder(self._folder)
        with open(open_file(self._folder / f"{name}.lock", os.O_WRONLY), "w") as file:
            fcntl.flock(file, how)
            yield  # closing the file releases the lock


NOBODY_MEASURES = LatencyLock(None)
