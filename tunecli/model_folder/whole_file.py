"""Files that other programs read: whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunecli.errors import ExportError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path`, to be written; it takes that name at the end, or is gone.

    Raises:
        ExportError: there is no room, no folder, or no right to write, or `path` is a folder.
    """
    if path.is_dir():
        raise ExportError(f"{path} is a folder. Name a file to write.")
    part = path.with_name(f".{path.name}.part")
    try:
        part.touch()  # the writers of other packages tell of a missing folder in many ways
        yield part
        part.replace(path)
    except OSError as error:
        raise ExportError(f"{path} cannot be written ({error.strerror or error}).") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
