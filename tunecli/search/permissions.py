"""What code this user has allowed for a study, so that a resume need not ask again.

It is kept in the user's own state folder, not with the study: a study folder may come from
somebody else, and what it says about itself allows nothing. A permission holds for one study, one
file or package, and its content as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tunecli.errors import UserCodeError
from tunecli.files.small import read_small
from tunecli.files.whole import whole_file
from tunecli.study_file.user_code import AllowedCode


def remember(study: str, code: AllowedCode) -> None:
    """Keep what the command line allowed; where nothing can be kept, it must be said again.

    Args:
        study: where it lives, the same in each call and unlike all others.
    """
    with suppress(OSError):
        _folder().mkdir(parents=True, exist_ok=True)
        for option, content in _entries(code):
            with whole_file(_record(study, option)) as part:
                part.write_text(content)


def remembered(study: str, folder: Path, options: Iterable[str]) -> AllowedCode:
    """Those of `options` that were allowed for a study before, and have not changed since.

    Args:
        folder: of the study file; files are looked for beside it alone.
    """
    found = AllowedCode(folder)
    for option in options:
        name = str((folder / option).resolve()) if option.endswith(".py") else option
        with suppress(OSError, UserCodeError, UnicodeDecodeError):
            kept = read_small(_record(study, name)).decode()
            now = AllowedCode.of(folder, [name])
            if kept in dict(_entries(now)).values():
                found = found.and_also(now)
    return found


def _entries(code: AllowedCode) -> list[tuple[str, str]]:
    return [*((str(path), content) for path, content in code.files), *code.packages]


def _folder() -> Path:
    """As the XDG base directory specification has it."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "tunecli" / "allowed"


def _record(study: str, option: str) -> Path:
    return _folder() / hashlib.sha256(json.dumps([study, option]).encode()).hexdigest()
