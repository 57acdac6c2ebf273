"""Lock files: one process holds a file at a time, and the file names the holder.

The kernel releases a lock however its process ends. On file systems without such locks (some
network and FUSE ones), the existence of a file is the lock; a stale one is recognized by host,
boot and process id.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from tunecli.files.file_lock import UNLOCKABLE
from tunecli.files.own import NotOwnError, open_file, refuse_foreign
from tunecli.files.small import read_small

_BEGIN = b'{"pid": '
"""The first bytes of a lock file that is in use."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        boot: id of the machine's boot; empty if unknown.
    """

    pid: int
    host: str
    boot: str
    since: str

    @classmethod
    def here(cls) -> Holder:
        """Return this process as a holder."""
        since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), _boot(), since)

    @classmethod
    def read(cls, path: Path) -> Holder | None:
        """Read the holder from a file; None if the file has none, or only a part."""
        try:
            refuse_foreign(path, "file")
            return _validator().validate_python(json.loads(read_small(path)))
        except (OSError, ValueError, RecursionError):
            return None

    @property
    def is_gone(self) -> bool:
        """Whether the process has certainly ended: it ran on this host and does not exist now."""
        if self.host != socket.gethostname():
            return False
        return self.boot != _boot() or not _is_alive(self.pid)

    def __str__(self) -> str:
        """Return the holder in words, in printable characters."""
        host, since = (ascii(text)[1:-1] for text in (self.host, self.since))
        return f"process {self.pid} on {host} since {since}"


@cache
def _validator() -> TypeAdapter[Holder]:
    return TypeAdapter(Holder)  # slow to build, and only a lock that is taken is read


class TakenError(Exception):
    """Another process holds a lock.

    Attributes:
        holder: the process, if it is known.
        outlives: the file to delete by hand if the holder no longer exists; None if the kernel
            releases the lock.
    """

    def __init__(self, holder: Holder | None, outlives: Path | None = None) -> None:
        super().__init__(str(holder))
        self.holder = holder
        self.outlives = outlives


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock file, and remove it at the end; its folder must exist.

    Raises:
        TakenError: another process holds it.
        OSError: it cannot be written, or tunecli did not write it.
    """
    descriptor = _lock(path)
    mine = path if descriptor is not None else soft(path)
    if descriptor is None:
        descriptor = _create(mine)
    elif os.pread(descriptor, len(_BEGIN), 0) not in (b"", _BEGIN):
        os.close(descriptor)
        raise NotOwnError(path, "it is a file that tunecli did not write")
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(Holder.here())).encode())
        yield
    finally:
        mine.unlink(missing_ok=True)  # while it is held, so that nobody else has it
        os.close(descriptor)


def soft(path: Path) -> Path:
    """Return the file whose existence is the lock if the kernel cannot lock `path`."""
    return path.with_suffix(".pid")


def _lock(path: Path) -> int | None:
    """Return a descriptor with the kernel's lock; None if the kernel cannot lock this file."""
    while True:
        descriptor = open_file(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise TakenError(_read(path)) from None
        except OSError as error:
            os.close(descriptor)
            if error.errno in UNLOCKABLE:
                return None
            raise
        os.close(descriptor)  # the last holder removed the file between the two calls


def _is_still(path: Path, descriptor: int) -> bool:
    """Return whether the path still leads to the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _create(path: Path) -> int:
    """Create the file, after removing one whose process has ended, and return its descriptor."""
    for _ in range(2):
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            holder = _read(path)
            if holder is None or not holder.is_gone:
                break
            _remove_stale(path, holder)
    raise TakenError(holder, outlives=path)


def _remove_stale(path: Path, holder: Holder) -> None:
    """Remove the lock of a process that has ended, unless another process was faster."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        if Holder.read(aside) != holder:  # another process has just taken the lock
            aside.rename(path)
        aside.unlink(missing_ok=True)


def _read(path: Path) -> Holder | None:
    """Return who holds a lock; a new holder needs a moment to write its name."""
    for _ in range(10):
        if holder := Holder.read(path):
            return holder
        time.sleep(0.05)
    return None


def _boot() -> str:
    """Return an id of the machine's boot; empty if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's process; not a process id
        return True
    return True
