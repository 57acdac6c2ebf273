"""Files that a command writes where the user said: whole, and with a sentence where that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunecli.errors import OutputError
from tunecli.files.whole import users_file


@contextmanager
def output(path: Path, *, option: str = "", is_new: bool = False) -> Iterator[Path]:
    """A file to be written, which takes the name `path` at the end; see `users_file`.

    Args:
        option: that names it, for messages.
        is_new: whether it must not be there yet.

    Raises:
        OutputError: there is no room, no folder, or no right to write; the old file is as it was.
    """
    try:
        with users_file(path, is_new=is_new) as part:
            yield part
    except OSError as error:
        raise OutputError(path, error, option) from None
