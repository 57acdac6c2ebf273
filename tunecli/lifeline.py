"""No process outlives the driver, however that died: kernel, pipe, and which signals are heard.

The driver's pipe ends with it, so a thread that waits for that can end a worker anywhere, and a
worker's pipe its loader processes. Native code that never lets Python run stops such a thread; on
Linux the kernel ends a process with its parent, too: the fork server with the driver, the workers
with the fork server, and loaders with their worker. The resource tracker, which cleans up behind
all of them, is woken instead.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import wait

THE_DRIVERS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
"""Signals that a terminal or a batch system sends to every process, and the driver answers."""

PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextmanager
def unheard() -> Iterator[None]:
    """Block the driver's signals in this thread, and in the processes that it starts meanwhile.

    Those are deaf from their first moment; this thread hears afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, THE_DRIVERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_the_drivers_signals() -> None:
    """Ignore what was blocked: a user's own processes can hear again, if they ask for it."""
    for number in THE_DRIVERS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, THE_DRIVERS)


def end_with_the_parent() -> None:
    """Let the kernel kill this process as soon as its parent is gone; Linux only."""
    _hear_of_the_parents_end(signal.SIGKILL)


def wake_with_the_parents_end() -> None:
    """Let the kernel continue this process, should it be stopped, once its parent is gone."""
    _hear_of_the_parents_end(signal.SIGCONT)


def _hear_of_the_parents_end(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def end_with_the_parents_pipe() -> None:
    """End this process as soon as its parent's pipe does, even in the middle of an epoch."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
