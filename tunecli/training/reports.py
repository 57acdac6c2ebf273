"""What a user's training has reported of one fold, on the disk before anybody goes on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from tunecli.small_files import read_small
from tunecli.training.evaluation import Evaluation


class Reports:
    """A file with one line for each report, in the order of their steps.

    A line that a kill has cut off is forgotten, and its step trained again.

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
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(evaluation)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.kept.append(evaluation)

    def _read(self) -> None:
        n_bytes = 0
        for line in read_small(self._file).splitlines(keepends=True):
            try:
                found = Evaluation(**json.loads(line))
            except (ValueError, TypeError, RecursionError):
                break
            if not line.endswith(b"\n") or found.step != len(self.kept):
                break
            self.kept.append(found)
            n_bytes += len(line)
        os.truncate(self._file, n_bytes)
