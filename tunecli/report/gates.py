"""What stands in place of a range with `or:`; the database knows only whether it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tunecli.errors import StudyFileError
from tunecli.study_file.ranges import Scalar

GATE = ".or"


def is_gate(name: str, value: Scalar) -> bool:
    """Whether a parameter says that `or:` was taken or not; others may be called like one."""
    return name.endswith(GATE) and isinstance(value, bool)


def stored_gates(
    study_file: str, file: str, overrides: tuple[str, ...], edits: Iterable[Mapping[str, Any]]
) -> dict[str, Scalar]:
    """By the name of each range, from the study file that the search went on with last.

    Empty for a study of another program, or of a version that knew other study files.
    """
    newest: Mapping[str, Any] = next(
        (edit for edit in reversed([*edits]) if "study_file" in edit), {}
    )
    text = newest.get("study_file", study_file)
    if not text:
        return {}
    from tunecli.study_file.study_file import StudyFile

    try:
        return StudyFile.from_text(text, file, newest.get("overrides", overrides)).gates
    except (StudyFileError, ValueError, TypeError):
        return {}
