"""The folders in which the trials of a study keep files."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from tunecli.files.own import opened_folder, remove_empty, remove_files

CHECKPOINTS = "checkpoints"
BEST = "best"
"""Folders in the study's folder: checkpoints of running trials, and models of the best ones."""


class TrialFolders:
    """The folders of one study's trials. Only files that tunecli made in them are removed.

    Args:
        root: the folder of all these folders; None to save nothing.
        files: pattern of the names of the files that tunecli makes in them.
    """

    def __init__(self, root: Path | None, files: re.Pattern[str]) -> None:
        self._root = root
        self._files = files
        self._discarded: list[str] = []

    def of(self, number: int) -> str:
        """Return the folder of trial `number`; empty to save nothing."""
        return str(self._root / str(number)) if self._root else ""

    def discard(self, *numbers: int) -> None:
        """Let the folders of these trials be removed: their files are no longer needed."""
        self._discarded += map(str, numbers)

    def remove_discarded(self) -> None:
        """Remove the discarded folders."""
        self._remove(self._discarded)
        self._discarded = []

    def remove_left(self, numbers: Collection[int]) -> None:
        """Remove the folders of trials that have ended, left by a driver that died."""
        names = {str(number) for number in numbers}
        if self._root:
            with suppress(OSError):
                self._remove([name for name in os.listdir(self._root) if name in names])

    def remove_root(self) -> None:
        """Remove the discarded folders, and the folder of all if it is empty.

        No trial may be running.
        """
        self.remove_discarded()
        if self._root:
            remove_empty(self._root)

    def _remove(self, names: Collection[str]) -> None:
        if self._root and names:
            with suppress(OSError), opened_folder(self._root) as root:
                for name in names:
                    remove_files(name, self._files, root)
