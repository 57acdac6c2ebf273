"""Check SQLite files before use: whether a file is a complete study database.

Nothing is written to a file that is refused. Optuna, which adds missing tables to any file, is
never given such a file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tunecli.errors import DatabaseError

_HEADER = b"SQLite format 3\0"
BUSY_SECONDS = 60.0  # how long a read or a write waits for another process that holds the lock


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a database read-only, but let SQLite roll back what a killed search left unfinished.

    Such a file has a hot journal, which a read-only connection may not roll back.

    Raises:
        sqlite3.Error: the file is not a database, or is locked.
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
    """Refuse a file unless it is a complete study database, which Optuna opens without writing.

    Raises:
        DatabaseError: the file is not a complete study database, or is damaged.
        sqlite3.OperationalError: the file cannot be read now.
    """
    refuse_other_file(path)
    try:
        with closing(open_read_only(path)) as opened:
            _refuse_foreign(opened, path)
            _refuse_damaged(opened, path)
    except sqlite3.OperationalError:
        raise  # the file itself is fine
    except sqlite3.DatabaseError as error:
        raise DatabaseError(
            f"{path} cannot be read as a study database ({in_one_line(error)}); nothing was "
            f"written to it. {WAYS_OUT}"
        ) from None


def refuse_other_columns(path: Path, wanted: Mapping[str, set[str]]) -> None:
    """Refuse a database whose tables lack a column that will be read or written.

    Args:
        wanted: column names by table; a table may be missing.

    Raises:
        DatabaseError: a table lacks a column.
    """
    with closing(open_read_only(path)) as opened:
        for table, columns in wanted.items():
            existing = {row[1] for row in opened.execute(f"PRAGMA table_info({table})")}
            missing = columns - existing if existing else ()
            if missing:
                raise DatabaseError(
                    f"{path} is damaged (table {table} has no column {min(missing)}); nothing was "
                    f"written to it. {WAYS_OUT}"
                )


WAYS_OUT = (
    "Restore a backup, recover what you can with `sqlite3 FILE .recover`, or choose another place "
    "with --runs or --storage."
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
            "Choose another place with --runs or --storage."
        )
    missing = _NEEDED - names
    if missing:
        raise DatabaseError(
            f"{path} is not a complete study database: table {min(missing)} is missing; nothing "
            f"was written to it. {WAYS_OUT}"
        )
    for table in ("alembic_version", "version_info"):  # Optuna would insert its own version
        if opened.execute(f"SELECT 1 FROM {table}").fetchone() is None:
            raise DatabaseError(
                f"{path} does not record which version of Optuna created it (table {table} is "
                f"empty); nothing was written to it. {WAYS_OUT}"
            )


def _refuse_damaged(opened: sqlite3.Connection, path: Path) -> None:
    (state,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
    if state != "ok":
        raise DatabaseError(
            f"{path} is damaged ({state.splitlines()[-1]}); nothing was written to it. {WAYS_OUT}"
        )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    opened = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )
    opened.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        opened.close()
        raise
    return opened


def in_one_line(error: BaseException) -> str:
    """Return SQLite's message on one line; for a damaged schema it quotes SQL with line breaks."""
    return " ".join(str(error).split())
