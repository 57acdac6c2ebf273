"""The version of tunecli's own arithmetic, which affects scores as the study file does.

It is stored with a study and compared when the study is resumed: a higher version gives different
bits for the same study file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMERICS = 2

CHANGES = {
    2: "targets are standardized in 64 bits, pictures under `scale: none` range from 0 to 1, "
    "arrays keep all their columns, and your own models get whole numbers as integers"
}
"""Changes of each version from the one before; studies without a version have version 1."""


def version_of(environment: Mapping[str, Any]) -> int:
    """Return the version that a study was started with; the oldest studies do not store it."""
    named = str(environment.get("numerics", 1))
    return int(named) if named.isdecimal() and len(named) < 10 else 0


def other_numerics(version: int) -> str:
    """Return the warning for a study of another version; empty for this version."""
    if version == NUMERICS:
        return ""
    known = "; ".join(text for number, text in CHANGES.items() if number > version)
    changes = f": {known}" if known else ". This tunecli is older and cannot list the differences"
    return (
        f"The study was made with version {version} of tunecli's arithmetic, but this tunecli "
        f"uses version {NUMERICS}{changes}."
    )
