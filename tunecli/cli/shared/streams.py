"""The output of commands: results on stdout or in a file, everything else on stderr."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunecli.errors import DataWarning

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = True) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def print_result(text: str, end: str = "\n") -> None:
    """Print a result to stdout: exactly for programs and files, safely for a terminal."""
    print(_plain(text) if sys.stdout.isatty() else text, end=end)


def print_pieces(pieces: Iterable[str]) -> None:
    """Print a result that comes in pieces."""
    for piece in pieces:
        print_result(piece, end="")
    print_result("")


def say(text: str) -> None:
    """Print plain sentences to stderr."""
    print(_plain(text), file=sys.stderr)


def write_output(path: Path, text: str, option: str = "", *, is_new: bool = False) -> None:
    """Write a file as a whole or not at all.

    Args:
        option: the option that names the file, for messages.
        is_new: whether the file must not exist yet.

    Raises:
        OutputError: the file cannot be written; the old content is unchanged.
    """
    from tunecli.files.whole import output

    with output(path, option=option, is_new=is_new) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def data_warnings_on_stderr() -> Iterator[None]:
    """Print each warning about the user's data as a sentence, without the line of code."""

    def write(message: Warning | str, category: type[Warning], *at: Any, **to: Any) -> None:
        if issubclass(category, DataWarning):
            say(f"Warning: {message}")
        else:
            others(message, category, *at, **to)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        others, warnings.showwarning = warnings.showwarning, write
        yield


def _plain(text: str) -> str:
    """Return text in which untrusted names cannot control the terminal."""
    from tunecli.report.phrases.foreign_text import plain_lines

    return plain_lines(text)
