"""What code this user has allowed for a study, so that a resume need not ask again.

It is kept in the user's own state folder, not with the study: a study folder may come from
somebody else, and what it says about itself allows nothing. A permission holds for one study, one
file or package, and its content as it was, with every file that was imported for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from tunecli.errors import UserCodeError
from tunecli.files.small import read_small
from tunecli.files.whole import whole_file
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.catalogue.code_hashes import changed_files, content_hash


class _Permission(BaseModel):
    """What was allowed.

    Attributes:
        content: hash of the file or package.
        loaded: of each file that was imported, by absolute path.
    """

    content: str
    loaded: dict[str, str] = {}


def remember(study: str, code: AllowedCode, loaded: Mapping[str, str] | None = None) -> None:
    """Keep what the command line allowed; where nothing can be kept, it must be said again.

    Args:
        study: where it lives, the same in each call and unlike all others.
        loaded: what was imported in this call, beside what was before; None if the command line
            has just allowed it.
    """
    with suppress(OSError):
        _folder().mkdir(parents=True, exist_ok=True)
        for option, content in _entries(code):
            before = _read(study, option)
            files = before.loaded if before else {}
            if loaded is None:  # they are allowed as they are now
                files = {path: content_hash(Path(path)) for path in files}
            permission = _Permission(content=content, loaded=files | dict(loaded or {}))
            with whole_file(_record(study, option)) as part:
                part.write_text(permission.model_dump_json())


def remembered(study: str, folder: Path, options: Iterable[str]) -> AllowedCode:
    """Those of `options` that were allowed for a study before, and have not changed since.

    Args:
        folder: of the study file; files are looked for beside it alone.
    """
    found = AllowedCode(folder)
    for option in options:
        name = str((folder / option).resolve()) if option.endswith(".py") else option
        permission = _read(study, name)
        if permission is not None:
            with suppress(OSError, UserCodeError):
                found = found.and_also(_unchanged(permission, AllowedCode.of(folder, [name])))
    return found


def _unchanged(permission: _Permission, now: AllowedCode) -> AllowedCode:
    """What is still allowed; and else, that it has changed."""
    [(_, content)] = _entries(now)
    if permission.content == content and not changed_files(Path(), permission.loaded):
        return now
    changed: list[Path | str] = [*dict(now.files), *dict(now.packages)]
    return replace(now, files=(), packages=(), changed=frozenset(changed))


def _read(study: str, option: str) -> _Permission | None:
    """None if there is none, or one of another version."""
    try:
        return _Permission.model_validate_json(read_small(_record(study, option)))
    except (OSError, ValidationError):
        return None


def _entries(code: AllowedCode) -> list[tuple[str, str]]:
    return [*((str(path), content) for path, content in code.files), *code.packages]


def _folder() -> Path:
    """As the XDG base directory specification has it."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "tunecli" / "allowed"


def _record(study: str, option: str) -> Path:
    return _folder() / hashlib.sha256(json.dumps([study, option]).encode()).hexdigest()
