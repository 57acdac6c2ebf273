"""Find the name of a study: from `--set study=…`, its file's content, or its file's name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tunecli.errors import StudyFileError
from tunecli.files.small import read_small
from tunecli.study_file.read.overrides import with_overrides
from tunecli.study_file.settings.switching_off import is_none
from tunecli.study_file.text.document import LARGEST_FILE, Document

STUDY_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\Z")
TRASH = ".trash"
"""The folder of replaced studies, and the prefix of their names; invalid as a study's name."""


def early_name(path: Path, overrides: Sequence[str] = ()) -> str | None:
    """Return the name of a study without checking its file, in a tenth of the time.

    Returns:
        the name that the full check finds as well; None if that will report a mistake.
    """
    try:
        text = read_small(path, LARGEST_FILE).decode("utf-8-sig")
        document, _ = with_overrides(Document.parse(text, str(path)), overrides)
    except (OSError, ValueError, TypeError, StudyFileError):
        return None
    given = document.data.get("study") if isinstance(document.data, dict) else None
    name = path.stem if is_none(given) else given
    return name if isinstance(name, str) and STUDY_NAME.match(name) else None
