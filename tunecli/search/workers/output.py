"""What workers print, from any language and any process of theirs, as lines in the driver.

In a worker, file descriptors 1 and 2 are a pipe to the driver. So native code, subprocesses and
loader processes are heard, too, and what a killed worker wrote is still in the pipe.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection

PIPE_BYTES = 2**20
"""Size of the pipe, where the system allows it: a worker that prints more waits for the driver."""

LONGEST = 2**13
"""Bytes of a line; what is longer becomes several lines."""

_SET_SIZE = 1031  # F_SETPIPE_SZ of Linux, for a fcntl module that lacks the name

WARNING = re.compile(r"warning: .+ \(\w+, .+:\d+\)")
"""A warning as `warnings.warn` writes it in a worker, in one line."""


class OutputLines:
    """The lines that arrive in a pipe.

    A carriage return overwrites the line, as on a terminal: of a progress bar, the last state
    counts.

    Args:
        reader: the end of the pipe that the driver reads.

    Attributes:
        is_open: whether more may arrive; False once all processes have closed the pipe.
    """

    def __init__(self, reader: Connection) -> None:
        self.reader = reader
        self.is_open = True
        self._rest = b""
        os.set_blocking(reader.fileno(), False)
        _widen(reader.fileno())

    def read(self, *, is_last: bool = False) -> tuple[str, ...]:
        """Return the lines that have arrived, without waiting.

        Args:
            is_last: whether an unfinished line counts, because its trial has ended.
        """
        content = self._rest + self._arrived()
        *lines, self._rest = content.split(b"\n")
        if is_last or len(self._rest) > LONGEST:
            lines, self._rest = [*lines, *filter(None, [self._rest])], b""
        return tuple(piece for line in lines for piece in _pieces(line))

    def close(self) -> None:
        """Close the pipe; a process that still prints gets an error."""
        self.is_open = False
        self.reader.close()

    def _arrived(self) -> bytes:
        """Return what is in the pipe; no more than fits in, however fast a worker prints."""
        chunks: list[bytes] = []
        with suppress(OSError):  # nothing is there now
            while self.is_open and sum(map(len, chunks)) < PIPE_BYTES:
                chunks.append(os.read(self.reader.fileno(), PIPE_BYTES))
                self.is_open = bool(chunks[-1])
        return b"".join(chunks)


def _pieces(line: bytes) -> list[str]:
    text = line.rstrip(b"\r").rpartition(b"\r")[2]
    starts = range(0, max(len(text), 1), LONGEST)
    return [text[start : start + LONGEST].decode("utf-8", "replace") for start in starts]


def _widen(descriptor: int) -> None:
    import fcntl

    with suppress(OSError):  # another system, or its limit for all pipes is reached
        fcntl.fcntl(descriptor, getattr(fcntl, "F_SETPIPE_SZ", _SET_SIZE), PIPE_BYTES)


def print_into(writer: Connection) -> None:
    """Send everything that this process prints from now on into a pipe, line by line."""
    for descriptor in (1, 2):
        os.dup2(writer.fileno(), descriptor)
    writer.close()
    sys.stdout, sys.stderr = (
        open(descriptor, "w", 1, "utf-8", "backslashreplace", closefd=False)
        for descriptor in (1, 2)
    )
    warnings.formatwarning = _in_one_line


def flush_output() -> None:
    """Send on what is still buffered, by Python and by the C library."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # user code may have closed it
            stream.flush()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)


def _in_one_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    text = " ".join(str(message).split())
    return f"warning: {text} ({category.__name__}, {filename}:{lineno})\n"
