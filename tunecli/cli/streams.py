"""Where commands write: results to stdout, everything else to stderr."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from tunecli.errors import DataWarning

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = True) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def put(text: str, end: str = "\n") -> None:
    """A result, on stdout: exact for programs and files, harmless for a terminal."""
    print(_plain(text) if sys.stdout.isatty() else text, end=end)


def say(text: str) -> None:
    """One plain sentence on stderr."""
    print(_plain(text), file=sys.stderr)


@contextmanager
def warnings_said() -> Iterator[None]:
    """Say each warning about the user's data as a sentence, without the line of code."""

    def said(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, DataWarning):
            say(f"Warning: {message}")
        else:
            shown(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        shown, warnings.showwarning = warnings.showwarning, said
        yield


def _plain(text: str) -> str:
    """Foreign names in it move no cursor."""
    from tunecli.report.wording import plain_lines

    return plain_lines(text)
