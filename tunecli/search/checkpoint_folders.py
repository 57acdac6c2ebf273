"""Where the trials of a study keep their checkpoints: a folder each, as long as they run."""

from __future__ import annotations

import shutil
from collections.abc import Container
from pathlib import Path

CHECKPOINTS = "checkpoints"
"""In the folder of the study."""


class CheckpointFolders:
    """The folders of one study's trials.

    Args:
        root: of all of them; None to save nothing.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root

    def of(self, number: int) -> str:
        """The folder of trial `number`; empty to save nothing."""
        return str(self._root / str(number)) if self._root else ""

    def remove(self, number: int) -> None:
        """Remove that of a trial that has ended."""
        if self._root:
            shutil.rmtree(self._root / str(number), ignore_errors=True)

    def keep(self, running: Container[str]) -> None:
        """Remove all others: a driver may have died right after it wrote a trial's end."""
        for folder in self._root.glob("*") if self._root else ():
            if folder.name not in running:
                shutil.rmtree(folder, ignore_errors=True)
