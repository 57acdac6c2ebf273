"""Find a study by its name or its study file, below a folder of studies or in a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunecli.errors import StudyNotFoundError

if TYPE_CHECKING:
    from tunecli.database.records import StudyRecord
    from tunecli.search.study.study_folder import StudyFolder


def study_at(study: str, runs: Path, storage: str | None) -> StudyFolder:
    """Return the folder of a study, given its name or its study file.

    Raises:
        StudyNotFoundError: `study` is not a valid name.
        StudyFileError: the study file has mistakes.
    """
    from tunecli.study_file.read.study_name import STUDY_NAME

    if study.endswith((".yaml", ".yml")) or "/" in study:
        from tunecli.study_file.study_file import read_study_file

        return study_folder_at(read_study_file(Path(study)).name, runs, storage)
    if not STUDY_NAME.match(study):  # `..` is a folder, too
        raise StudyNotFoundError(
            f"{study!r} is not a valid study name. Use letters, digits, `-`, `_` and `.`; do not "
            "start with a dot. `tunecli report` lists the studies."
        )
    return study_folder_at(study, runs, storage)


def record_at(study: str, runs: Path, storage: str | None) -> tuple[StudyFolder, StudyRecord]:
    """Return the folder of a study and its record, given its name or its study file."""
    from tunecli.database.records import read_study

    study_folder = study_at(study, runs, storage)
    return study_folder, read_study(study_folder.url, study_folder.name)


def study_folder_at(name: str, runs: Path, storage: str | None) -> StudyFolder:
    from tunecli.search.study.study_folder import StudyFolder

    return StudyFolder(runs, name, storage and existing_study(storage))


def existing_study(storage: str) -> str:
    from tunecli.database.urls import refuse_unusable

    refuse_unusable(storage)
    return storage
