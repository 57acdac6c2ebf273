"""What the user's own training learns of its trial, and where the trial's files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

IN_CHECK = -1
"""Number of the trial in a rehearsal, which belongs to no trial."""


@dataclass(frozen=True)
class UserTrial:
    """The trial of the user's own training.

    Attributes:
        study: name of the study; empty if unknown.
        number: number of the trial; `IN_CHECK` without one.
        checkpoints: folder of the trial's checkpoints; None for a temporary one.
        kept: folder of the trial's models; None to remove them with the checkpoints.
        is_refit: whether this is the final training on all rows of the search.
    """

    study: str = ""
    number: int = IN_CHECK
    checkpoints: Path | None = None
    kept: Path | None = None
    is_refit: bool = False


REHEARSED = UserTrial()
"""A training that belongs to no trial and leaves no files."""
