"""Where a study lives: a folder under `runs/`, a database, and locks for its one driver."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tunecli.errors import PlaceError, StudyBusyError
from tunecli.search.urls import sqlite_file, sqlite_url


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
        return self.storage or sqlite_url(self.folder / "study.db")

    @property
    def events(self) -> Path:
        """The stream of search events, one JSON object a line."""
        return self.folder / "events.jsonl"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the study to this process: its folder, and its rows in a SQLite file.

        On a server nothing can be locked for so long; there the database refuses a second
        writer's trial.

        Raises:
            StudyBusyError: another process holds it.
            PlaceError: the folder cannot be written.
        """
        with ExitStack() as held:
            for lock in self._locks():
                held.enter_context(self._hold(lock))
            yield

    def move_to_trash(self) -> Path:
        """Put the study's folder aside; nothing is deleted.

        Returns:
            where it is now, under `runs/.trash`.

        Raises:
            StudyBusyError: a search holds it.
        """
        with self.held():
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

    def _locks(self) -> list[Path]:
        """The lock files: searches from several folders may share a database."""
        locks = [self.folder / "search.lock"]
        database = sqlite_file(self.url)
        if database is not None:
            database = database.resolve()
            locks.append(database.with_name(f"{database.name}.{self.name}.lock"))
        return locks

    @contextmanager
    def _hold(self, path: Path) -> Iterator[None]:
        """Hold one lock, with word of who does beside it."""
        holder = path.with_suffix(".json")
        lock = FileLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
            holder.write_text(json.dumps(_this_process()))
        except Timeout:
            raise StudyBusyError(self._busy_sentence(holder)) from None
        except OSError as error:
            lock.release()
            raise PlaceError(
                f"{path.parent} cannot be written ({error.strerror}). "
                "Give another place with --runs or --storage."
            ) from None
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def _busy_sentence(self, holder: Path) -> str:
        try:
            told = json.loads(holder.read_text())
            who = f"process {told['pid']} on {told['host']} since {told['since']}"
        except (OSError, ValueError, KeyError):
            who = "another process"
        return f"Study {self.name} is being searched by {who}. Wait for it, or stop it first."


def _this_process() -> dict[str, str | int]:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
