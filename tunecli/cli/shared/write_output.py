"""Write a command's text to the file that the user named."""

from __future__ import annotations

from pathlib import Path

from tunecli.files.output import output


def write_output(path: Path, text: str, option: str = "", *, is_new: bool = False) -> None:
    """Write a file as a whole or not at all.

    Args:
        option: the option that names the file, for messages.
        is_new: whether the file must not exist yet.

    Raises:
        OutputError: the file cannot be written; the old content is unchanged.
    """
    with output(path, option=option, is_new=is_new) as part:
        part.write_text(text, encoding="utf-8")
