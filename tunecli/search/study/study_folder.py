"""The folder of a study under `runs/`, its database, and the locks for its one driver."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tunecli.database.clock import stamps
from tunecli.errors import (
    NO_RIGHT,
    NO_ROOM,
    DatabaseError,
    PlaceError,
    StudyBusyError,
    TunecliError,
)
from tunecli.files.own import NotOwnError, make_folder, opened_folder, refuse_foreign
from tunecli.search.study.locks import TakenError, hold, soft
from tunecli.search.study.trial_folders import BEST, CHECKPOINTS
from tunecli.search.study.trial_logs import LOGS
from tunecli.study_file.read.study_name import TRASH

DATABASE = "study.db"
JOURNALS = ("-journal", "-wal", "-shm")
"""Endings of the files that SQLite keeps next to a database."""


@dataclass(frozen=True)
class StudyFolder:
    """The folder and the database of one study.

    Attributes:
        runs: the folder of all studies.
        name: the study's name; a plain file name (the study file's rules check it).
        storage: URL of another database, or None for `runs/<name>/study.db`.
    """

    runs: Path
    name: str
    storage: str | None = field(default=None, repr=False)  # with its password

    @property
    def folder(self) -> Path:
        """The folder with all files of the study, except for a database of `storage`."""
        return self.runs / self.name

    @property
    def url(self) -> str:
        """The URL of the database, for SQLAlchemy."""
        from tunecli.database.urls import sqlite_url  # importing SQLAlchemy is slow

        return self.storage or sqlite_url(self.folder / DATABASE)

    @property
    def events(self) -> Path:
        """The file of search events, one JSON object per line."""
        return self.folder / "events.jsonl"

    @property
    def lock(self) -> Path:
        """The lock file of the folder; it says who holds it."""
        return self.folder / "search.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the study for this process, which will write to its folder; see `locked`.

        Raises:
            PlaceError: also if a link, or something else, has the name of a file of the study.
        """
        self._refuse_foreign()
        with self.locked():
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the study for this process: its folder, and its rows in the database.

        A PostgreSQL server has a lock for each study. Another server refuses the trial of a second
        writer.

        Raises:
            StudyBusyError: another process holds it.
            PlaceError: the folder cannot be written.
            DatabaseError: the server cannot be reached.
        """
        with ExitStack() as held:
            made_runs = [] if self.runs.exists() else [self.runs]
            held.callback(_remove_empty, [self.folder, *made_runs])
            for lock in self._locks():
                held.enter_context(self._hold(lock))
            if self._database_file is None:
                from tunecli.database.engines import hold_study

                held.enter_context(hold_study(self.url, self.name))
            yield

    def move_to_trash(self) -> Path:
        """Move the files of a study that is held to the trash.

        The database moves last: until then the study is in its old folder.

        Returns:
            the new folder, under `runs/.trash`.

        Raises:
            PlaceError: the folder cannot be written, or the trash is a link.
        """
        trash = self.runs / TRASH
        try:
            make_folder(trash)
            target = self._new_in(trash)
            with opened_folder(self.folder) as source, opened_folder(target) as goal:
                for path in sorted(self._contents(), key=_is_of_database):
                    os.rename(path.name, path.name, src_dir_fd=source, dst_dir_fd=goal)
        except OSError as error:
            raise self._unwritable(trash, error) from None
        return target

    def _new_in(self, trash: Path) -> Path:
        """Create a new folder in the trash."""
        for stamp in stamps():
            target = trash / f"{self.name}-{stamp}"
            with suppress(FileExistsError):
                target.mkdir()
                return target
        raise AssertionError("unreachable: numbers do not end")

    @property
    def has_study_files(self) -> bool:
        """Whether the folder contains files of a search; another folder may have this name."""
        return any(path.exists() for path in (self.folder / DATABASE, self.events))

    def _contents(self) -> list[Path]:
        locks = {name for lock in self._locks() for name in (lock.name, soft(lock).name)}
        return [path for path in self.folder.iterdir() if path.name not in locks]

    def _locks(self) -> list[Path]:
        """Return the lock files: the folder's, and that of a SQLite file, which may be shared."""
        locks = [self.lock]
        database = self._database_file
        if database is not None:
            locks.append(database.with_name(f"{database.name}.{self.name}.lock"))
        return locks

    @property
    def _database_file(self) -> Path | None:
        """The SQLite file; None for a database on a server.

        A file that the user named may be reached through links; one in the folder must not be a
        link.
        """
        if self.storage is None:
            return self.folder.resolve() / DATABASE
        from tunecli.database.urls import sqlite_file

        named = sqlite_file(self.storage)
        return None if named is None else named.resolve()

    def _refuse_foreign(self) -> None:
        """Refuse anything but real files and folders under the names that a search writes.

        Raises:
            PlaceError: one is a link, of another kind, or has more than one name.
        """
        folders = [self.runs / ".cache", self.runs / TRASH, self.folder]
        folders += [self.folder / name for name in (CHECKPOINTS, BEST, LOGS, "model")]
        files = [self.folder / "trackers.json", self.events]
        if self.storage is None:
            files.append(self.folder / DATABASE)
        if self._database_file is not None:
            files += [Path(f"{self._database_file}{ending}") for ending in JOURNALS]
        for lock in self._locks():
            files += [lock, soft(lock)]
        try:
            for folder in folders:
                refuse_foreign(folder, "folder")
            for name in (CHECKPOINTS, BEST):
                for path in (self.folder / name).glob("[0-9]*"):
                    refuse_foreign(path, "folder")
            for file in files:
                refuse_foreign(file, "file")
        except OSError as error:
            raise self._unwritable(self.folder, error) from None

    @contextmanager
    def _hold(self, path: Path) -> Iterator[None]:
        """Hold one lock.

        Raises:
            StudyBusyError: another process holds it.
        """
        with ExitStack() as held:
            try:
                if path.parent == self.folder:
                    make_folder(self.folder)
                path.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(hold(path))
            except TakenError as error:
                raise StudyBusyError(self._busy_sentence(error)) from None
            except OSError as error:
                raise self._unwritable(path.parent, error) from None
            yield

    def _busy_sentence(self, taken: TakenError) -> str:
        advice = "Wait until it ends, or stop it."
        if taken.outlives is not None:
            advice += f" If that process no longer exists, delete {taken.outlives}."
        who = taken.holder or "another process"
        return f"Study {self.name} is in use by {who}. {advice}"

    def _unwritable(self, folder: Path, error: OSError) -> TunecliError:
        """Return the error: DatabaseError without room or permission, otherwise PlaceError."""
        if isinstance(error, NotOwnError):
            return PlaceError(
                f"{error}, and tunecli writes and deletes only its own files. Move it away, or "
                "choose another location with --storage or --runs (only the folder of --runs "
                "itself is allowed to be a link)."
            )
        kind = DatabaseError if error.errno in (*NO_ROOM, *NO_RIGHT) else PlaceError
        return kind(
            f"{folder} cannot be written ({error.strerror}). Free some space, change its "
            "permissions, or choose another location with --runs or --storage."
        )


def _is_of_database(path: Path) -> bool:
    return path.name in (DATABASE, *(f"{DATABASE}{ending}" for ending in JOURNALS))


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove empty folders, so that a search that could not begin leaves no trace."""
    with suppress(OSError):  # a folder is not empty
        for folder in folders:
            folder.rmdir()
