"""The values that `or:` puts in place of ranges; the database knows only whether it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tunecli.errors import StudyFileError
from tunecli.study_file.text.scalars import Scalar

GATE = ".or"


def is_gate(name: str, value: Scalar) -> bool:
    """Return whether a parameter records that `or:` was taken, by its name and type."""
    return name.endswith(GATE) and isinstance(value, bool)


def stored_gates(
    study_file: str, file: str, overrides: tuple[str, ...], edits: Iterable[Mapping[str, Any]]
) -> dict[str, Scalar]:
    """Return what `or:` gives, by the name of the range, from the study file used last.

    It is empty for a study of another program, or of a version with other study files.
    """
    text, given = newest(study_file, overrides, edits)
    if not text:
        return {}
    from tunecli.study_file.study_file import StudyFile

    try:
        return StudyFile.from_text(text, file, given).gates
    except (StudyFileError, ValueError, TypeError):
        return {}


def newest(
    study_file: str, overrides: tuple[str, ...], edits: Iterable[Mapping[str, Any]]
) -> tuple[str, tuple[str, ...]]:
    """Return the study file that a search used last, and its overrides."""
    edit: Mapping[str, Any] = next((e for e in reversed([*edits]) if "study_file" in e), {})
    return edit.get("study_file", study_file), tuple(edit.get("overrides", overrides))
