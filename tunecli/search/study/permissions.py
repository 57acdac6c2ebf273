"""Remember the code that this user has allowed for a study, so that a resume needs no `--code`.

Permissions are stored in the user's state folder, not with the study: a study folder may come from
somebody else and cannot allow anything. A permission is valid for one study and one file or
package, as long as its content and every file imported for it are unchanged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from tunecli.errors import UserCodeError
from tunecli.files.small import read_small
from tunecli.files.whole import whole_file
from tunecli.study_file.catalogue.allowed_code import AllowedCode, places_in
from tunecli.study_file.catalogue.code_hashes import changed_files, content_hash
from tunecli.study_file.text.document import LARGEST_FILE

if TYPE_CHECKING:
    from tunecli.search.study.study_folder import StudyFolder


class _Permission(BaseModel):
    """One allowed file or package.

    Attributes:
        content: hash of the file or package.
        loaded: content hash of each file that was imported for it, by absolute path.
    """

    content: str
    loaded: dict[str, str] = {}


def allowed_before(file: Path, study_folder: StudyFolder) -> AllowedCode:
    """Return the code that this user allowed for this study before and that is unchanged."""
    text = ""
    with suppress(OSError):  # which a call that needs the file reports
        text = read_small(file, LARGEST_FILE).decode(errors="replace")
    return remembered(_identity(study_folder), file.absolute().parent, places_in(text))


def remember_allowed(
    study_folder: StudyFolder, code: AllowedCode, loaded: Mapping[str, str] | None = None
) -> None:
    """Store the allowed code, and the files imported for it, for this user's next call.

    Args:
        loaded: content hash of each imported file, by path; None if it was only allowed.
    """
    remember(_identity(study_folder), code, loaded)


def _identity(study_folder: StudyFolder) -> str:
    if study_folder.storage is None:
        return f"{study_folder.folder.resolve()} {study_folder.name}"
    from tunecli.database.urls import without_password  # importing SQLAlchemy is slow

    return f"{without_password(study_folder.storage)} {study_folder.name}"  # no hash of a secret


def remember(study: str, code: AllowedCode, loaded: Mapping[str, str] | None = None) -> None:
    """Store the code that the command line allowed, if the state folder can be written.

    Args:
        study: identifies the study: the same in each call, and different from all others.
        loaded: content hash of each file imported in this call, in addition to earlier ones; None
            if the command line has just allowed the code.
    """
    with suppress(OSError):
        _folder().mkdir(parents=True, exist_ok=True)
        for option, content in _entries(code):
            before = _read(study, option)
            files = before.loaded if before else {}
            if loaded is None:  # the files are allowed with their current content
                files = {path: content_hash(Path(path)) for path in files}
            permission = _Permission(content=content, loaded=files | dict(loaded or {}))
            with whole_file(_record(study, option)) as part:
                part.write_text(permission.model_dump_json())


def remembered(study: str, folder: Path, options: Iterable[str]) -> AllowedCode:
    """Return the code among `options` that was allowed for a study before and is unchanged.

    Args:
        folder: folder of the study file; files are searched for only there.
    """
    allowed = AllowedCode(folder)
    for option in options:
        name = str((folder / option).resolve()) if option.endswith(".py") else option
        permission = _read(study, name)
        if permission is not None:
            with suppress(OSError, UserCodeError):
                allowed = allowed.and_also(_unchanged(permission, AllowedCode.of(folder, [name])))
    return allowed


def _unchanged(permission: _Permission, now: AllowedCode) -> AllowedCode:
    """Return the code if it is unchanged; otherwise mark it as changed."""
    [(_, content)] = _entries(now)
    if permission.content == content and not changed_files(Path(), permission.loaded):
        return now
    changed: list[Path | str] = [*dict(now.files), *dict(now.packages)]
    return replace(now, files=(), packages=(), changed=frozenset(changed))


def _read(study: str, option: str) -> _Permission | None:
    """Read a permission; None if there is none, or one of another version."""
    try:
        return _Permission.model_validate_json(read_small(_record(study, option)))
    except (OSError, ValidationError):
        return None


def _entries(code: AllowedCode) -> list[tuple[str, str]]:
    return [*((str(path), content) for path, content in code.files), *code.packages]


def _folder() -> Path:
    """Return the folder of permissions, by the XDG base directory specification."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "tunecli" / "allowed"


def _record(study: str, option: str) -> Path:
    return _folder() / hashlib.sha256(json.dumps([study, option]).encode()).hexdigest()
