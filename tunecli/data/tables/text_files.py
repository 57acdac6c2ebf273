"""Open tables that are stored as text, compressed or not, within the bounds of memory."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import IO, Any, cast

from tunecli.data.tables.table_bounds import check_bytes


def opened_text(path: Path) -> IO[bytes]:
    """Open a file's text, unpacked."""
    is_packed = path.suffix.lower() == ".gz"
    return cast(IO[bytes], gzip.open(path)) if is_packed else path.open("rb")


class BoundedText(io.RawIOBase):
    """A file's text, whose reading fails once more was read than fits into memory."""

    def __init__(self, path: Path) -> None:
        check_bytes(path.stat().st_size)
        self._file = opened_text(path)
        self._n_read = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; see `io.RawIOBase`.

        Raises:
            UnreadableTableError: the file has more text than fits into memory.
        """
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        self._n_read += len(block)
        check_bytes(self._n_read)
        return len(block)

    def close(self) -> None:
        """Close the file below, too."""
        self._file.close()
        super().close()


def not_utf_8(path: Path) -> str:
    """Name the first line that is not UTF-8, in words that can follow the file's name."""
    with opened_text(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                return (
                    f"must be UTF-8, but byte 0x{byte:02x} in line {number} is not. "
                    "Save it as UTF-8."
                )
    return "must be UTF-8. Save it as UTF-8."
