"""The version of the arithmetic that decides a score beside the study file.

It is stored with a study, and compared when the study is resumed: a higher version gives other
bits for the same study file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMERICS = 2

CHANGES = {
    2: "targets are standardized in 64 bits, pictures under `scale: none` range from 0 to 1, and "
    "arrays keep all their columns, and their whole numbers for models of your own",
}
"""What each version does differently from the one before; studies without a version have 1."""


def version_of(environment: Mapping[str, Any]) -> int:
    """Return the version that a study was begun with; older studies do not name it."""
    named = str(environment.get("numerics", 1))
    return int(named) if named.isdecimal() and len(named) < 10 else 0


def other_numerics(version: int) -> str:
    """Return what to say of a study of another version; nothing where it is this one."""
    if version == NUMERICS:
        return ""
    return (
        f"The study was made with numerics version {version}, and this tunecli has {NUMERICS}: "
        f"{_changes_since(version)}."
    )


def _changes_since(version: int) -> str:
    known = [text for number, text in CHANGES.items() if number > version]
    return "; ".join(known) or "this tunecli is older and does not know what differs"
