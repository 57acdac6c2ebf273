"""Move a study to the trash: its folder to another one, its rows to another name.

Nothing is deleted. A folder or a study that Optuna itself or another program made is refused and
stays unchanged.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from mmap import ACCESS_READ, mmap
from pathlib import Path

from tunecli.database import sqlite_files
from tunecli.database.urls import display_url
from tunecli.database.write import StudyDatabase
from tunecli.errors import PlaceError
from tunecli.search.study.study_folder import DATABASE, StudyFolder

_STRANGERS = """
SELECT study_name FROM studies WHERE study_id NOT IN
(SELECT study_id FROM study_user_attributes WHERE key LIKE 'tunecli:%')
"""
_OUR_NAME = b"tunecli"
"""Bytes that every database of tunecli contains."""


def put_away(study_folder: StudyFolder) -> list[str]:
    """Move a study that is held to the trash: its folder, and its rows in another database.

    Returns:
        one sentence per move; empty if there is no such study.

    Raises:
        PlaceError: tunecli did not make it, or it cannot be moved.
        DatabaseError: the database cannot be used.
    """
    refuse_foreign_study(study_folder)
    moved = []
    if study_folder.storage is not None:
        new = StudyDatabase.put_away(study_folder.url, study_folder.name)
        if new is not None:
            where = display_url(study_folder.url)
            moved.append(f"Study {study_folder.name} was renamed to {new} in {where}.")
    if study_folder.has_study_files:
        moved.append(f"Study {study_folder.name} was moved to {study_folder.move_to_trash()}.")
    return moved


def refuse_foreign_study(study_folder: StudyFolder) -> None:
    """Refuse a study that tunecli did not make; a study that does not exist passes.

    Raises:
        PlaceError: another program made the study, or the file in its place.
        DatabaseError: the database of `--storage` cannot be used.
    """
    if study_folder.storage is not None:
        if StudyDatabase.is_foreign(study_folder.url, study_folder.name):
            raise PlaceError(
                _sentence(display_url(study_folder.url), f"study {study_folder.name}")
            )
        return
    path = study_folder.folder / DATABASE
    if path.exists() and path.stat().st_size:
        _refuse_foreign_file(path)


def _refuse_foreign_file(path: Path) -> None:
    try:
        with closing(sqlite_files.open_read_only(path)) as opened:
            strangers = [name for (name,) in opened.execute(_STRANGERS)]
    except sqlite3.Error:  # damaged, or made by another program
        strangers = []
        if not _names_us(path):
            raise PlaceError(
                f"{path} is not a study database of tunecli, so it was not changed. Move it away, "
                "or use --as NAME to start a study with another name."
            ) from None
    if strangers:
        raise PlaceError(_sentence(str(path), f"study {strangers[0]}"))


def _names_us(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return content.find(_OUR_NAME) >= 0


def _sentence(where: str, what: str) -> str:
    return (
        f"{where} contains {what}, which tunecli did not make, so it was not changed. Use --as "
        "NAME to start a study with another name, or use another database."
    )
