"""Write the files that a user names: whole, or with a message why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunecli.errors import OutputError
from tunecli.files.whole import users_file


@contextmanager
def output(path: Path, *, option: str = "", is_new: bool = False) -> Iterator[Path]:
    """Yield a file to write, which is renamed to `path` at the end; see `users_file`.

    Args:
        option: the option that names the file, for messages.
        is_new: whether the file must not exist yet.

    Raises:
        OutputError: space, the folder or the permission to write is missing; the old file is
            unchanged.
    """
    try:
        with users_file(path, is_new=is_new) as part:
            yield part
    except OSError as error:
        raise OutputError(path, error, option) from None
