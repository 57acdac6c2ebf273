"""A file that one process holds at a time, and that says who does.

The kernel lets go of a lock however its process ends. Where a file system has no such locks (some
network and FUSE ones), the file's existence is the lock, and one whose process is gone is
recognized by host, boot and process id.
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
from pathlib import Path

from tunecli.files.own import NotOwnError, open_file, refuse_foreign
from tunecli.files.small import read_small
from tunecli.files.turns import UNLOCKABLE

_BEGIN = b'{"pid": '
"""Of what a holder writes."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock. Attributes: `boot`: of its machine; empty where unknown."""

    pid: int
    host: str
    boot: str
    since: str

    @classmethod
    def here(cls) -> Holder:
        """This process."""
        since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), _boot(), since)

    @classmethod
    def read(cls, path: Path) -> Holder | None:
        """Who has written it; None if nobody, or only in part."""
        try:
            refuse_foreign(path, "file")
            return cls.parse(read_small(path))
        except OSError:
            return None

    @classmethod
    def parse(cls, content: bytes) -> Holder | None:
        """Who is written there; None if nobody, or only in part."""
        try:
            told = json.loads(content)
            return cls(int(told["pid"]), str(told["host"]), str(told["boot"]), str(told["since"]))
        except (ValueError, TypeError, LookupError, RecursionError):
            return None

    @property
    def is_gone(self) -> bool:
        """Whether it certainly runs no more: it ran on this host, which has no such process."""
        if self.host != socket.gethostname():
            return False
        return self.boot != _boot() or not _is_alive(self.pid)

    def __str__(self) -> str:
        """The holder in words, in printable characters."""
        host, since = (ascii(text)[1:-1] for text in (self.host, self.since))
        return f"process {self.pid} on {host} since {since}"


class TakenError(Exception):
    """Somebody else holds a lock.

    Attributes:
        holder: who, if it is known.
        outlives: the file that has to be deleted by hand if the holder is gone; None if the
            kernel takes care of that.
    """

    def __init__(self, holder: Holder | None, outlives: Path | None = None) -> None:
        super().__init__(str(holder))
        self.holder = holder
        self.outlives = outlives


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock file; its folder must exist. It is removed at the end.

    Raises:
        TakenError: another process holds it.
        OSError: it cannot be written, or is a file of somebody else's.
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
        mine.unlink(missing_ok=True)  # while it is held, so that it is nobody else's
        os.close(descriptor)


def soft(path: Path) -> Path:
    """The file whose existence is the lock where the kernel has none for `path`."""
    return path.with_suffix(".pid")


def _lock(path: Path) -> int | None:
    """A descriptor with the kernel's lock; None where the kernel has none for this file."""
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
        os.close(descriptor)  # the last holder has removed the file between the two calls


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the name still leads to the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _create(path: Path) -> int:
    """A descriptor of a file that did not exist, or whose process is gone."""
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
    """Remove the lock of a process that is gone, unless somebody was quicker."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        if Holder.read(aside) != holder:  # of one who has just taken the lock
            aside.rename(path)
        aside.unlink(missing_ok=True)


def _read(path: Path) -> Holder | None:
    """Who holds a lock; one who has just taken it needs a moment to write it down."""
    for _ in range(10):
        if holder := Holder.read(path):
            return holder
        time.sleep(0.05)
    return None


def _boot() -> str:
    """Changes with every start of the machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no number of a process
        return True
    return True
