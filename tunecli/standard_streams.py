"""Standard output and error of a command, whatever they are connected to.

A result that cannot be written is a failure: standard output raises `StandardOutputError`, even if
it was closed before the command started. Standard error is only for a human reader, so failures to
write to it are ignored. Both replace characters that their encoding lacks.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from tunecli.errors import StandardOutputError

_IN_ASCII = str.maketrans(
    dict(zip("–—·│×≈“”‘’▁▂▃▄▅▆▇█", "--||x~\"\"''_.,-~=*#", strict=True))
    | {"…": "...", "±": "+-", "→": "->", "≤": "<=", "≥": ">="}
)


def guard() -> None:
    """Replace Python's standard streams with streams that behave like this."""
    _open_closed()
    codecs.register_error("tunecli", _replaced)
    sys.stdout = _stream(_Results(1, "wb", closefd=False), sys.stdout)
    sys.stderr = _stream(_Remarks(2, "wb", closefd=False), sys.stderr, line_buffering=True)


def discard_results() -> None:
    """Discard unwritten output, so that Python does not try to write it again at exit."""
    if isinstance(getattr(getattr(sys.stdout, "buffer", None), "raw", None), _Results):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


@contextmanager
def prints_on_stderr() -> Iterator[None]:
    """Send what user code and native libraries print on standard output to standard error.

    Standard output is for results alone. Only for commands: it changes the whole process.
    """
    sys.stdout.flush()
    results = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(results, 1)
        os.close(results)


class _Results(io.FileIO):
    """Standard output."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except BrokenPipeError:
            raise StandardOutputError("") from None  # `tunecli report … | head` needs no more
        except OSError as error:
            raise StandardOutputError(
                f"Cannot write to standard output: {error.strerror}."
            ) from None


class _Remarks(io.FileIO):
    """Standard error."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)


def _open_closed() -> None:
    """Reopen closed streams before a database gets their numbers; writing to them fails."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # Opening gets the lowest free number.
            os.open(os.devnull, os.O_RDONLY if number < 2 else os.O_WRONLY)


def _stream(file: io.FileIO, before: TextIO | None, line_buffering: bool = False) -> TextIO:
    """Return a text stream on a file, with the encoding that Python chose for the old stream."""
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="tunecli",
        line_buffering=line_buffering or getattr(before, "line_buffering", False),
        write_through=getattr(before, "write_through", False),
    )


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_IN_ASCII)
    return text.encode("ascii", "backslashreplace").decode(), error.end
