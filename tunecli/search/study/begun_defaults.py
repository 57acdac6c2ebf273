"""The defaults that a study began with, where its file leaves settings of the search open.

They may change between versions of tunecli. A study goes on with its own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from tunecli.errors import StudyFileError
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
    kept = {name: read(search[name]) for name, read in _READ.items() if name in search}
    return {**FIRST, **kept}


def _component(written: Any) -> Component | None:
    """Return a component as it is stored; no default has another one inside."""
    match written:
        case "none" | None:
            return None
        case str():
            return Component(name=written)
        case _:
            [(name, arguments)] = written.items()
            return Component(name=name, arguments=arguments)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "sampler": _component,
    "pruner": _component,
    "parallel": operator.index,
}
