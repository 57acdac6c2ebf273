"""Keep the machine idle while a latency is measured: other processes wait.

Each process holds a shared lock while it computes; a process that measures takes the lock
exclusively. A second lock, the gate, keeps processes from starting to compute while another waits
to measure. The kernel releases the locks of a process however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunecli.files.own import make_folder, open_file


class LatencyLock:
    """A lock of all processes that use the same folder.

    Args:
        folder: folder of the two lock files; None if no process measures, so that none waits.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @contextmanager
    def working(self) -> Iterator[None]:
        """Compute within the block while no other process measures; not within `alone`."""
        with self._locked("gate", fcntl.LOCK_SH):
            pass
        with self._locked("machine", fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Measure within the block while no process computes; not within `working`."""
        with self._locked("gate", fcntl.LOCK_EX), self._locked("machine", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        if self._folder is None:
            yield
            return
        make_folder(self._folder)
        with open(open_file(self._folder / f"{name}.lock", os.O_WRONLY), "w") as file:
            fcntl.flock(file, how)
            yield  # closing the file releases the lock


NOBODY_MEASURES = LatencyLock(None)
