"""The code that a study file may run: what `--code` allows now, and what it allowed before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunecli.search.study.study_folder import StudyFolder
    from tunecli.study_file.catalogue.allowed_code import AllowedCode


def allowed_by(file: Path, options: list[str] | None) -> AllowedCode:
    """Return the code that `--code` allows.

    Args:
        file: the study file; code is found relative to its folder.
        options: the values of `--code`.
    """
    from tunecli.study_file.catalogue.allowed_code import AllowedCode

    return AllowedCode.of(file.absolute().parent, options or [])


def allowed_before(file: Path, study_folder: StudyFolder) -> AllowedCode:
    """Return the code that this user allowed for this study before and that is unchanged."""
    from tunecli.files.small import read_small
    from tunecli.search.study.permissions import remembered
    from tunecli.study_file.catalogue.allowed_code import places_in
    from tunecli.study_file.text.document import LARGEST_FILE

    text = ""
    with suppress(OSError):  # which a command that needs the file reports
        text = read_small(file, LARGEST_FILE).decode(errors="replace")
    return remembered(_identity(study_folder), file.absolute().parent, places_in(text))


def remember_allowed(
    study_folder: StudyFolder, code: AllowedCode, loaded: Mapping[str, str] | None = None
) -> None:
    """Store the allowed code, and the files imported for it, for this user's next call.

    Args:
        loaded: content hash of each imported file, by path; None if it was only allowed.
    """
    from tunecli.search.study.permissions import remember

    remember(_identity(study_folder), code, loaded)


def _identity(study_folder: StudyFolder) -> str:
    return f"{study_folder.storage or study_folder.folder.resolve()} {study_folder.name}"
