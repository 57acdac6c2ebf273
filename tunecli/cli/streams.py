"""Where commands write: results to stdout, everything else to stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = True) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def say(text: str) -> None:
    """One plain sentence on stderr."""
    typer.echo(text, err=True)
