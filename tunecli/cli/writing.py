"""Files that a command writes for the user, where the user said."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer


def write(path: Path, text: str, option: str = "", mode: Literal["w", "x"] = "w") -> None:
    """Write a file.

    Args:
        option: that names it, for messages.
        mode: `x` leaves a file alone that is there.

    Raises:
        BadParameter: it cannot be written.
    """
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        named = f"{option}: {path}" if option else str(path)
        raise typer.BadParameter(f"{named} cannot be written ({error.strerror}).") from None
