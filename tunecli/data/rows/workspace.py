"""The places on this machine that a study's processes need besides the study file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunecli.study_file.catalogue.allowed_code import NO_CODE, AllowedCode


@dataclass(frozen=True)
class Workspace:
    """The places where a study's data is found and cached.

    Attributes:
        folder: the folder of the study file, to which its paths are relative.
        cache: where prepared data is kept for other processes and later searches; None to prepare
            it in each process.
        code: the user's code that may be imported; nothing by default.
        describes_columns: whether the columns of a table will be described, so that this is done
            while its rows are in memory.
    """

    folder: Path = Path()
    cache: Path | None = None
    code: AllowedCode = NO_CODE
    describes_columns: bool = False


HERE = Workspace()
"""The current folder, and nothing cached for other processes."""
