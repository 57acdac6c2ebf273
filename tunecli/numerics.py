"""The version of tunecli's own arithmetic, which affects scores as the study file does.

It is stored with a study and compared when the study is resumed: a higher version gives different
bits for the same study file. Trials, too, store the version that they train with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMERICS = 3

OLDEST_IN_USE = 2
"""The oldest version whose arithmetic this tunecli still has; its studies keep it."""

CHANGES = {
    2: "targets are standardized in 64 bits, pictures under `scale: none` range from 0 to 1, "
    "arrays keep all their columns, and your own models get whole numbers as integers",
    3: "numbers closer to zero than 1.2e-38 (denormal numbers) count as zero while networks train "
    "and predict with `threads: 1`, the default",
}
"""Changes of each version from the one before; studies without a version have version 1."""


def version_of(environment: Mapping[str, Any]) -> int:
    """Return the version that a study was started with; the oldest studies do not store it."""
    named = str(environment.get("numerics", 1))
    return int(named) if named.isdecimal() and len(named) < 10 else 0


def version_in_use(version: int) -> int:
    """Return the version that a study of this version is continued with."""
    return min(max(version, OLDEST_IN_USE), NUMERICS)


def flushes_denormals(version: int, n_threads: int) -> bool:
    """Return whether denormal numbers count as zero in this version.

    With several threads they do not: torch sets it in one thread only, and other threads have what
    was set where they began.
    """
    return version >= 3 and n_threads == 1


def other_numerics(version: int) -> str:
    """Return the warning for a study that is continued with another version; else empty."""
    used = version_in_use(version)
    if version == used:
        return ""
    known = "; ".join(text for number, text in CHANGES.items() if version < number <= used)
    changes = f": {known}" if known else ". This tunecli is older and cannot list the differences"
    return (
        f"The study was made with version {version} of tunecli's arithmetic, but this tunecli "
        f"uses version {used}{changes}."
    )
