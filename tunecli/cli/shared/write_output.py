"""Texts that a command writes for the user, where the user said."""

from __future__ import annotations

from pathlib import Path

from tunecli.files.output import output


def write_output(path: Path, text: str, option: str = "", *, is_new: bool = False) -> None:
    """Write a file whole.

    Args:
        option: that names it, for messages.
        is_new: whether it must not be there yet.

    Raises:
        OutputError: it cannot be written; what was there is as it was.
    """
    with output(path, option=option, is_new=is_new) as part:
        part.write_text(text, encoding="utf-8")
