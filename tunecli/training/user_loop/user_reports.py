"""Store the reports of the user's training on one fold, before the training continues."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from tunecli.files.own import open_file
from tunecli.training.outcome.evaluation import Evaluation


class UserReports:
    """A file with one line for each report, in the order of their steps.

    Its folder must exist. A line that a kill truncated is dropped, and its step is trained again.

    Attributes:
        kept: all stored reports.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.kept: list[Evaluation] = []
        if file.exists():
            self._read()

    def add(self, evaluation: Evaluation) -> None:
        """Store a report on the disk.

        Raises:
            OSError: the report cannot be written.
        """
        with open(open_file(self._file, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(evaluation)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.kept.append(evaluation)

    def _read(self) -> None:
        with open(open_file(self._file, os.O_RDWR), "r+b") as file:
            n_bytes = self._load_complete(file.read())
            file.truncate(n_bytes)

    def _load_complete(self, content: bytes) -> int:
        """Load the complete lines; return their number of bytes."""
        n_bytes = 0
        for line in content.splitlines(keepends=True):
            try:
                evaluation = Evaluation(**json.loads(line))
            except (ValueError, TypeError, RecursionError):
                break
            if not line.endswith(b"\n") or evaluation.step != len(self.kept):
                break
            self.kept.append(evaluation)
            n_bytes += len(line)
        return n_bytes
