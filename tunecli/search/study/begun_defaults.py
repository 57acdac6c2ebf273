"""The defaults that a study began with, where its file leaves settings of the search open.

They may change between versions of tunecli. A study goes on with its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunecli.errors import StudyFileError
from tunecli.study_file.settings.search_settings import FOLLOWS_EVIDENCE
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.text.document import Document

FIRST: Mapping[str, Any] = {
    "sampler": Component(name="TPESampler"),
    "pruner": Component(name="MedianPruner"),
    "parallel": 8,
}
"""The defaults of the first version."""


def defaults_begun_with(resolved: str) -> dict[str, Any]:
    """Return the settings of `search` in a stored study file that has every default.

    Raises:
        ValueError: it is damaged.
    """
    try:
        stored = Document.parse(resolved, "resolved").data
    except StudyFileError as error:
        raise ValueError(f"its resolved study file is invalid: {error}") from error
    search = (stored or {}).get("search", {})
    return {**FIRST, **{name: _read(search[name]) for name in FOLLOWS_EVIDENCE if name in search}}


def _read(written: Any) -> Any:
    """Return a setting: `none`, a name, or a name with arguments; none are nested in a default."""
    match written:
        case "none" | None:
            return None
        case str():
            return Component(name=written)
        case dict() if len(written) == 1:
            [(name, arguments)] = written.items()
            return Component(name=name, arguments=arguments)
        case _:
            return int(written)
