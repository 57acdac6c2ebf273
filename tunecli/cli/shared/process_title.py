"""Hide a password of the command line from the list of processes, which everybody can read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_START, _END = 48, 49
"""Fields of `/proc/PID/stat` that say where the arguments lie in memory, see proc(5)."""


def hide_in_process_title(secret: str) -> None:
    """Overwrite a text in the arguments of this process with asterisks; Linux only.

    Elsewhere, and if the kernel forbids it, the arguments stay as they are.
    """
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = (int(fields[n - 3]) for n in (_START, _END))  # the first is field 3
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            arguments = memory.read(end - start)
            hidden = arguments.replace(secret.encode(), b"*" * len(secret.encode()))
            memory.seek(start)
            memory.write(hidden)
