"""The logs of what trials print: `logs/trial-N.log` in the study's folder, a time in each line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from tunecli.database.clock import utc_now
from tunecli.files.own import make_folder, open_file

LOGS = "logs"
"""Folder in the study's folder."""

LARGEST = 10_000_000
"""Bytes of a log; further lines are left out."""

_FULL = "… this log has reached 10 MB: further lines are left out"
_AGAIN = "--- the trial was started again or resumed ---"
_TAIL_BYTES = 2**16


def trial_log(folder: Path, number: int | None) -> Path:
    """Return the log of a trial; for None, that of what is printed outside of trials.

    Args:
        folder: the study's folder.
    """
    return folder / LOGS / ("search.log" if number is None else f"trial-{number}.log")


class TrialLogs:
    """Appends to the logs of a study.

    Args:
        folder: the study's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun: set[int | None] = {None}
        self._known: set[str] | None = None

    def begin(self, number: int) -> None:
        """Let a line mark where a trial begins again, if it printed something before."""
        self._begun.discard(number)

    def add(self, number: int | None, lines: Sequence[str]) -> Path:
        """Append lines to the log of a trial, and return its path.

        Raises:
            OSError: the disk is full, writing is not permitted, or the path is a link.
        """
        path = trial_log(self._folder, number)
        self._append(path, lines, marks=number not in self._begun)
        self._begun.add(number)
        return path

    def is_new_warning(self, text: str) -> bool:
        """Return whether no trial of the study has given this warning, and remember it.

        Raises:
            OSError: see `add`.
        """
        path = self._folder / LOGS / "warnings.log"
        if self._known is None:
            self._known = {line.partition(" ")[2] for line in last_lines(path, LARGEST, LARGEST)}
        if text in self._known:
            return False
        self._known.add(text)
        self._append(path, [text], marks=False)
        return True

    def _append(self, path: Path, lines: Iterable[str], *, marks: bool) -> None:
        make_folder(self._folder, LOGS)
        descriptor = open_file(path, os.O_RDWR | os.O_APPEND)
        with open(descriptor, "ab") as file:
            n_bytes = os.fstat(descriptor).st_size
            if n_bytes >= LARGEST:
                return
            is_torn = n_bytes > 0 and os.pread(descriptor, 1, n_bytes - 1) != b"\n"
            marked = [_AGAIN] if marks and n_bytes else []
            stamp = utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
            content = b"\n" if is_torn else b""
            for text in (*marked, *lines):
                content += _line(stamp, text)
                if n_bytes + len(content) >= LARGEST:
                    content += _line(stamp, _FULL)
                    break
            file.write(content)


def last_lines(path: Path, n_lines: int = 20, n_bytes: int = _TAIL_BYTES) -> list[str]:
    """Return the last lines of a log; none if it does not exist or is not a regular file.

    Args:
        n_bytes: how much of the end is read.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return []
            start = max(status.st_size - n_bytes, 0)
            file.seek(start)
            lines = file.read(n_bytes).decode("utf-8", "replace").removesuffix("\n").split("\n")
            return lines[1:][-n_lines:] if start else lines[-n_lines:]
    return []


def _line(stamp: str, text: str) -> bytes:
    return f"{stamp} {text}\n".encode("utf-8", "replace")
