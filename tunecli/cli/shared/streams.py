"""The output of commands: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = True) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def print_result(text: str, end: str = "\n") -> None:
    """Print a result to stdout: exactly for programs and files, safely for a terminal."""
    print(_plain(text) if sys.stdout.isatty() else text, end=end)


def say(text: str) -> None:
    """Print plain sentences to stderr."""
    print(_plain(text), file=sys.stderr)


def _plain(text: str) -> str:
    """Return text in which untrusted names cannot control the terminal."""
    from tunecli.report.phrases.wording import plain_lines

    return plain_lines(text)
