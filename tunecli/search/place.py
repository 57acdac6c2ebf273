"""Where a study lives: a folder under `runs/`, a database, and a lock for its one driver."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tunecli.errors import StudyBusyError, TunecliError


@dataclass(frozen=True)
class Place:
    """Where one study lives.

    Attributes:
        runs: the folder of all studies.
        name: of the study; a plain file name (the study file's rules check it).
        storage: URL of another database, or None for `runs/<name>/study.db`.
    """

    runs: Path
    name: str
    storage: str | None = None

    @property
    def folder(self) -> Path:
        """Everything of this study but, perhaps, its database."""
        return self.runs / self.name

    @property
    def url(self) -> str:
        """The database as SQLAlchemy names it."""
        return self.storage or f"sqlite:///{self.folder / 'study.db'}"

    @property
    def events(self) -> Path:
        """The stream of search events, one JSON object a line."""
        return self.folder / "events.jsonl"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the study to this process.

        Raises:
            StudyBusyError: another process holds it.
            TunecliError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "search.lock")
            with lock.acquire(blocking=False):
                self._holder.write_text(json.dumps(_this_process()))
                try:
                    yield
                finally:
                    self._holder.unlink(missing_ok=True)
        except Timeout:
            raise StudyBusyError(self._busy_sentence()) from None
        except PermissionError as error:
            raise TunecliError(
                f"{error.filename} cannot be written. Give another folder with --runs."
            ) from None

    def move_to_trash(self) -> Path:
        """Put the study's folder aside; nothing is deleted.

        Returns:
            where it is now, under `runs/.trash`.

        Raises:
            StudyBusyError: a search holds it.
        """
        with self.held():
            pass
        trash = self.runs / ".trash"
        trash.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        target = trash / f"{self.name}-{stamp}"
        count = 1
        while target.exists():
            count += 1
            target = trash / f"{self.name}-{stamp}-{count}"
        shutil.move(self.folder, target)
        return target

    @property
    def _holder(self) -> Path:
        return self.folder / "search.json"

    def _busy_sentence(self) -> str:
        try:
            holder = json.loads(self._holder.read_text())
            who = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        except (OSError, ValueError, KeyError):
            who = "another process"
        return f"Study {self.name} is being searched by {who}. Wait for it, or stop it first."


def _this_process() -> dict[str, str | int]:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
