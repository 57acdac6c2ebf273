"""What Ctrl-C, SIGTERM and SIGHUP do to a command. Imported first: torch takes seconds to load."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


class Interruptible(Protocol):
    """What can end itself in good order."""

    def interrupt(self) -> None:
        """End soon; safe in a signal handler."""


def leave_at_once() -> None:
    """From now on a signal ends the process silently: there is nothing to save yet."""
    for number in _heard():
        signal.signal(number, lambda received, _: _leave(received))


@contextmanager
def interrupting(search: Interruptible) -> Iterator[list[int]]:
    """Let a first signal end a search in good order, and a second one end it at once.

    Yields:
        the signals received.
    """
    received: list[int] = []

    def handle(number: int, _: Any) -> None:
        received.append(number)
        if len(received) > 1:
            _leave(received[0])
        search.interrupt()

    before = {number: signal.signal(number, handle) for number in _heard()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heard() -> list[int]:
    """The signals that whoever started this process has not silenced, as nohup does SIGHUP."""
    return [number for number in EXIT_CODES if signal.getsignal(number) is not signal.SIG_IGN]


def _leave(number: int) -> None:
    """End this process and its workers, with the cursor that a live view may have hidden."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        for child in active_children():
            with suppress(OSError):
                child.kill()
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h\n")
    os._exit(EXIT_CODES[number])
