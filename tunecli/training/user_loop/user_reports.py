"""What a user's training has reported of one fold, on the disk before anybody goes on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from tunecli.files.own import open_file
from tunecli.training.outcome.evaluation import Evaluation


class UserReports:
    """A file with one line for each report, in the order of their steps.

    Its folder must exist. A line that a kill has cut off is forgotten, and its step trained again.

    Attributes:
        kept: all of them.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.kept: list[Evaluation] = []
        if file.exists():
            self._read()

    def add(self, evaluation: Evaluation) -> None:
        """Keep a report for good.

        Raises:
            OSError: it cannot be written.
        """
        with open(open_file(self._file, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(evaluation)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.kept.append(evaluation)

    def _read(self) -> None:
        with open(open_file(self._file, os.O_RDWR), "r+b") as file:
            n_bytes = self._n_whole(file.read())
            file.truncate(n_bytes)

    def _n_whole(self, content: bytes) -> int:
        """Keep the whole lines, and say how many bytes they are."""
        n_bytes = 0
        for line in content.splitlines(keepends=True):
            try:
                found = Evaluation(**json.loads(line))
            except (ValueError, TypeError, RecursionError):
                break
            if not line.endswith(b"\n") or found.step != len(self.kept):
                break
            self.kept.append(found)
            n_bytes += len(line)
        return n_bytes
