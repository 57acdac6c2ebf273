"""Handling of Ctrl-C, SIGTERM and SIGHUP. Imported first, because torch takes seconds to load."""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

COPIES = 1.0
"""Seconds in which a repeated SIGTERM counts once: a batch system may send it to a script and to
the processes that it started, and the script passes it on.
"""

_ended_by: list[int] = []
"""The signal that ended the command of this process, if one did."""


class Interruptible(Protocol):
    """A task that can end itself cleanly."""

    def interrupt(self) -> None:
        """End soon; safe to call in a signal handler."""


def leave_at_once() -> None:
    """End the process silently on any later signal: there is nothing to save yet."""
    atexit.register(_end)
    for number in _heard():
        signal.signal(number, lambda received, _: _leave(received))


@contextmanager
def interrupting(search: Interruptible) -> Iterator[list[int]]:
    """End a search cleanly on a first signal, and at once on a second one.

    Either way the exit code is that of the first. A thread waits for the second one, because this
    thread may be blocked in a library for up to a minute.

    Yields:
        the signals received.
    """
    received: list[int] = []

    def handle(number: int, _: Any) -> None:
        received.append(number)
        search.interrupt()

    before = {number: signal.signal(number, handle) for number in _heard()}
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    threading.Thread(target=_leave_at_the_second, args=(ours,), daemon=True).start()
    fd_before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    try:
        yield received
    finally:
        signal.set_wakeup_fd(fd_before)
        for number, handler in before.items():
            signal.signal(number, (lambda *_: _leave(received[0])) if received else handler)
        os.close(theirs)


@contextmanager
def ending_at_ctrl_c(search: Interruptible) -> Iterator[list[int]]:
    """End a search cleanly on a first Ctrl-C; a second one raises KeyboardInterrupt at once.

    For a search that a user's program calls: no signal ends that program here. In another thread
    than the main one, which Python does not interrupt, nothing changes.

    Yields:
        the signals received.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, _: Any) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        search.interrupt()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def ended_by(number: int) -> int:
    """Return the exit code of a command that a signal ended, and let the process exit at once."""
    _ended_by.append(number)
    return EXIT_CODES[number]


def _leave_at_the_second(signals: int) -> None:
    """Read one byte per signal from Python's wakeup descriptor, until it is closed."""
    first, since = 0, 0.0
    while byte := os.read(signals, 1):
        number, now = byte[0], time.monotonic()
        is_copy = number == first == signal.SIGTERM and now - since < COPIES
        if number in EXIT_CODES and not is_copy:
            if first:
                _leave(first)
            first, since = number, now
    os.close(signals)


def _heard() -> list[int]:
    """Return the signals that the parent process did not disable, as nohup does with SIGHUP."""
    return [number for number in EXIT_CODES if signal.getsignal(number) is not signal.SIG_IGN]


def _end() -> None:
    """Ignore signals, and exit at once if one has ended the command; the last handler at exit.

    Otherwise Python would restore the default handlers and their exit codes, and free all imports:
    a second or two on a busy machine, in which the user may press Ctrl-C again.
    """
    for number in _heard():
        signal.signal(number, signal.SIG_IGN)
    if _ended_by:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # its reader is gone
                stream.flush()
        os._exit(EXIT_CODES[_ended_by[0]])


def _leave(number: int) -> None:
    """End this process and its workers, and show the cursor that a live view may have hidden."""
    try:
        if "multiprocessing" in sys.modules:
            from multiprocessing import active_children

            for child in active_children():
                child.kill()
        # A terminal that Ctrl-S has paused would block.
        if os.isatty(2) and select.select([], [2], [], 0)[1]:
            os.write(2, b"\x1b[?25h\n")
    finally:
        os._exit(EXIT_CODES[number])
