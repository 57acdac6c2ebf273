"""End every process with the driver, however it died, and choose who handles which signals.

The driver's pipe closes when it ends. A thread that waits for this can end a worker at any point,
and in the same way a worker's pipe ends its loader processes. Native code that never lets Python
run blocks such a thread, so on Linux the kernel also ends a process with its parent: the fork
server with the driver, the workers with the fork server, and loaders with their worker. The
resource tracker, which cleans up after all of them, is woken instead.
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
"""Signals that a terminal or batch system sends to every process; only the driver handles them."""

PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextmanager
def unheard() -> Iterator[None]:
    """Block the driver's signals in this thread, and in the processes that it starts meanwhile.

    Those processes ignore the signals from the start; this thread receives them afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, THE_DRIVERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_the_drivers_signals() -> None:
    """Ignore the blocked signals; processes that user code starts can handle them again."""
    for number in THE_DRIVERS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, THE_DRIVERS)


def end_with_the_parent() -> None:
    """Let the kernel kill this process when its parent ends; Linux only."""
    _hear_of_the_parents_end(signal.SIGKILL)


def wake_with_the_parents_end() -> None:
    """Let the kernel resume this process, if it is stopped, when its parent ends; Linux only."""
    _hear_of_the_parents_end(signal.SIGCONT)


def _hear_of_the_parents_end(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def end_with_the_parents_pipe() -> None:
    """End this process when its parent's pipe closes, even in the middle of an epoch."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
