"""SQLite files, opened for reading: whether one is a whole study database.

Nothing is written to a file that is refused, and Optuna, which writes what is missing into
whatever it is given, does not see it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from tunecli.errors import DatabaseError

_HEADER = b"SQLite format 3\0"
BUSY_SECONDS = 60.0  # how long a read or a write waits for another process that holds the lock


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open read-only; but let SQLite roll back what a killed search left half written.

    Such a file has a hot journal, and a read-only connection may not touch it.

    Raises:
        sqlite3.Error: it is no database, or locked.
    """
    try:
        return _connect(path, "ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
            raise
    return _connect(path, "rw")


def refuse_other_file(path: Path) -> None:
    """Let only a file pass that is or was an SQLite database, or is empty.

    Raises:
        DatabaseError: its first bytes are of another kind of file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_HEADER))
    except OSError:
        return  # SQLite says why it cannot be read
    if start and start != _HEADER:
        raise DatabaseError(
            f"{path} is not an SQLite database; nothing was written to it. Name another file, as "
            "--storage sqlite:///studies.db, or restore a copy of the database."
        )


def refuse_unfit(path: Path) -> None:
    """Let only a whole study database pass, which Optuna opens without writing to it.

    Raises:
        DatabaseError: it is none, or damaged.
        sqlite3.OperationalError: it cannot be read now.
    """
    refuse_other_file(path)
    try:
        with closing(open_read_only(path)) as opened:
            _refuse_foreign(opened, path)
            _refuse_damaged(opened, path)
    except sqlite3.OperationalError:
        raise  # nothing is wrong with the file itself
    except sqlite3.DatabaseError as error:
        raise DatabaseError(
            f"{path} cannot be read as a study database ({in_one_line(error)}); nothing was "
            f"written to it. {WAYS_OUT}"
        ) from None


def refuse_other_columns(path: Path, wanted: Mapping[str, set[str]]) -> None:
    """Let only a database pass whose tables have the columns that will be read and written.

    Args:
        wanted: columns by table; a table may be missing.

    Raises:
        DatabaseError: a table has others.
    """
    with closing(open_read_only(path)) as opened:
        for table, columns in wanted.items():
            found = {row[1] for row in opened.execute(f"PRAGMA table_info({table})")}
            missing = columns - found if found else ()
            if missing:
                raise DatabaseError(
                    f"{path} is damaged (table {table} has no column {min(missing)}); nothing was "
                    f"written to it. {WAYS_OUT}"
                )


WAYS_OUT = (
    "Restore a copy of it, save what `sqlite3 FILE .recover` finds, or give another place with "
    "--runs or --storage."
)

_NEEDED = {
    *("alembic_version", "version_info", "studies", "study_directions", "study_user_attributes"),
    *(
        "study_system_attributes",
        "trials",
        "trial_params",
        "trial_values",
        "trial_user_attributes",
    ),
    *("trial_system_attributes", "trial_intermediate_values"),
}


def _refuse_foreign(opened: sqlite3.Connection, path: Path) -> None:
    names = {name for (name,) in opened.execute("SELECT name FROM sqlite_master")}
    if "studies" not in names:
        raise DatabaseError(
            f"{path} is a database, but not a study database; nothing was written to it. "
            "Give another place with --runs or --storage."
        )
    missing = _NEEDED - names
    if missing:
        raise DatabaseError(
            f"{path} is no whole study database, it has no table {min(missing)}; nothing was "
            f"written to it. {WAYS_OUT}"
        )
    for table in ("alembic_version", "version_info"):  # Optuna would fill in its own version
        if opened.execute(f"SELECT 1 FROM {table}").fetchone() is None:
            raise DatabaseError(
                f"{path} does not say which version of Optuna made it ({table} is empty); nothing "
                f"was written to it. {WAYS_OUT}"
            )


def _refuse_damaged(opened: sqlite3.Connection, path: Path) -> None:
    (found,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise DatabaseError(
            f"{path} is damaged ({found.splitlines()[-1]}); nothing was written to it. {WAYS_OUT}"
        )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    opened = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )
    opened.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        opened.close()
        raise
    return opened


def in_one_line(error: BaseException) -> str:
    """What SQLite says; of a damaged schema it shows pieces, with line breaks."""
    return " ".join(str(error).split())
