"""What the processes of a study must know of this machine beside the study file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunecli.study_file.catalogue.allowed_code import NO_CODE, AllowedCode


@dataclass(frozen=True)
class Workspace:
    """Where a study's data is found and kept.

    Attributes:
        folder: of the study file; the paths in it are relative to this.
        cache: where prepared data is kept for other processes and later searches; None to prepare
            it in each process.
        code: of the user's own that may be imported; nothing by default.
    """

    folder: Path = Path()
    cache: Path | None = None
    code: AllowedCode = NO_CODE


HERE = Workspace()
"""Paths as the process sees them, and nothing kept for others."""
