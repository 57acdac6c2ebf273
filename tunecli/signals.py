"""What Ctrl-C, SIGTERM and SIGHUP do to a command. Imported first: torch takes seconds to load."""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

_ended_by: list[int] = []
"""The signal that ended this process's command, if one did."""


class Interruptible(Protocol):
    """What can end itself in good order."""

    def interrupt(self) -> None:
        """End soon; safe in a signal handler."""


def leave_at_once() -> None:
    """From now on a signal ends the process silently: there is nothing to save yet."""
    atexit.register(_end)
    for number in _heard():
        signal.signal(number, lambda received, _: _leave(received))


@contextmanager
def interrupting(search: Interruptible) -> Iterator[list[int]]:
    """Let a first signal end a search in good order, and a second one end it at once.

    Either way the exit code is the first one's. A thread listens for the second: this one may
    wait in a library for as long as a minute.

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
    told_before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    try:
        yield received
    finally:
        signal.set_wakeup_fd(told_before)
        for number, handler in before.items():
            signal.signal(number, (lambda *_: _leave(received[0])) if received else handler)
        os.close(theirs)


def ended_by(number: int) -> int:
    """The exit code of a command that a signal has ended; the process then ends without delay."""
    _ended_by.append(number)
    return EXIT_CODES[number]


def _leave_at_the_second(signals: int) -> None:
    """Read what Python writes to its wakeup descriptor: a byte a signal, until it is closed."""
    first = 0
    while byte := os.read(signals, 1):
        if byte[0] in EXIT_CODES and first:
            _leave(first)
        first = first or (byte[0] if byte[0] in EXIT_CODES else 0)
    os.close(signals)


def _heard() -> list[int]:
    """The signals that whoever started this process has not silenced, as nohup does SIGHUP."""
    return [number for number in EXIT_CODES if signal.getsignal(number) is not signal.SIG_IGN]


def _end() -> None:
    """The last of what runs at exit.

    Python would give signals back their own ways from here on, and exit codes, and free all that
    was imported: for a second or two on a busy machine, in which somebody presses Ctrl-C again.
    """
    for number in _heard():
        signal.signal(number, signal.SIG_IGN)
    if _ended_by:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # nobody reads it any more
                stream.flush()
        os._exit(EXIT_CODES[_ended_by[0]])


def _leave(number: int) -> None:
    """End this process and its workers, with the cursor that a live view may have hidden."""
    try:
        if "multiprocessing" in sys.modules:
            from multiprocessing import active_children

            for child in active_children():
                child.kill()
        if os.isatty(2) and select.select([], [2], [], 0)[1]:  # nobody has pressed Ctrl-S
            os.write(2, b"\x1b[?25h\n")
    finally:
        os._exit(EXIT_CODES[number])
