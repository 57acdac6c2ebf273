"""Where a study lives: a folder under `runs/`, a database, and locks for its one driver."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

from tunecli.errors import (
    NO_RIGHT,
    NO_ROOM,
    DatabaseError,
    PlaceError,
    StudyBusyError,
    TunecliError,
)
from tunecli.search.locks import TakenError, hold, soft


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
        from tunecli.search.urls import sqlite_url  # SQLAlchemy takes longer than a busy study

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
            made_runs = [] if self.runs.exists() else [self.runs]
            held.callback(_remove_empty, [self.folder, *made_runs])
            for lock in self._locks():
                held.enter_context(self._hold(lock))
            yield

    def move_to_trash(self) -> Path:
        """Put all that is in the study's folder aside, of a study that is held.

        Returns:
            where it is now, under `runs/.trash`.

        Raises:
            PlaceError: the folder cannot be written.
        """
        trash = self.runs / ".trash"
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        names = chain([""], (f"-{number}" for number in count(2)))
        paths = (trash / f"{self.name}-{stamp}{ending}" for ending in names)
        target = next(path for path in paths if not path.exists())
        try:
            target.mkdir(parents=True)
            for path in self._contents():
                shutil.move(path, target)
        except OSError as error:
            raise self._unwritable(trash, error) from None
        return target

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in the study's folder but, perhaps, its locks."""
        return not self.folder.is_dir() or not self._contents()

    def _contents(self) -> list[Path]:
        locks = {name for lock in self._locks() for name in (lock.name, soft(lock).name)}
        return [path for path in self.folder.iterdir() if path.name not in locks]

    def _locks(self) -> list[Path]:
        """The lock files: searches from several folders may share a database."""
        locks = [self.folder / "search.lock"]
        database = self._database_file
        if database is not None:
            locks.append(database.with_name(f"{database.name}.{self.name}.lock"))
        return locks

    @property
    def _database_file(self) -> Path | None:
        """The SQLite file, whatever links lead to it; None for a database on a server."""
        if self.storage is None:
            return (self.folder / "study.db").resolve()
        from tunecli.search.urls import sqlite_file

        named = sqlite_file(self.storage)
        return None if named is None else named.resolve()

    @contextmanager
    def _hold(self, path: Path) -> Iterator[None]:
        """Hold one lock, or say who does."""
        with ExitStack() as held:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(hold(path))
            except TakenError as error:
                raise StudyBusyError(self._busy_sentence(error)) from None
            except OSError as error:
                raise self._unwritable(path.parent, error) from None
            yield

    def _busy_sentence(self, taken: TakenError) -> str:
        advice = "Wait for it, or stop it first."
        if taken.outlives is not None:
            advice += f" If it is gone for certain, delete {taken.outlives}."
        who = taken.holder or "another process"
        return f"Study {self.name} is being searched by {who}. {advice}"

    def _unwritable(self, folder: Path, error: OSError) -> TunecliError:
        """No room or no right is the machine's trouble, all else no place for a study."""
        kind = DatabaseError if error.errno in (*NO_ROOM, *NO_RIGHT) else PlaceError
        return kind(
            f"{folder} cannot be written ({error.strerror}). Make room or allow it, or give "
            "another place with --runs or --storage."
        )


def _remove_empty(folders: Iterable[Path]) -> None:
    """Leave no trace of a search that could not begin."""
    with suppress(OSError):  # there is something in it
        for folder in folders:
            folder.rmdir()
