"""Where the trials of a study keep files: a folder each, in one of the study's own."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from tunecli.files.own import opened_folder, remove_files

CHECKPOINTS = "checkpoints"
BEST = "best"
"""Of the trials that run and of the best, in the folder of the study."""


class TrialFolders:
    """The folders of one study's trials. Only what tunecli made in them is ever removed.

    Args:
        root: of all of them; None to save nothing.
        files: how that is called which they hold.
    """

    def __init__(self, root: Path | None, files: re.Pattern[str]) -> None:
        self._root = root
        self._files = files

    def of(self, number: int) -> str:
        """The folder of trial `number`; empty to save nothing."""
        return str(self._root / str(number)) if self._root else ""

    def remove(self, *numbers: int) -> None:
        """Remove those of trials whose files nobody needs any more."""
        self._remove([str(number) for number in numbers])

    def remove_left(self, numbers: Collection[int]) -> None:
        """Remove what a driver left that died right after it wrote the end of these trials."""
        names = {str(number) for number in numbers}
        if self._root:
            with suppress(OSError):
                self._remove([name for name in os.listdir(self._root) if name in names])

    def _remove(self, names: Collection[str]) -> None:
        if self._root and names:
            with suppress(OSError), opened_folder(self._root) as root:
                for name in names:
                    remove_files(name, self._files, root)
