"""Store what the user's training on one fold reports, before the training continues."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tunecli.errors import UserCodeError
from tunecli.files.own import make_folder, open_file, refuse_foreign
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.state.checkpoints import write_whole
from tunecli.training.state.trial_files import PREDICTIONS
from tunecli.training.step.losses import Predictions


class UserPredictions:
    """Stores one file per step that may still be the best one.

    Predictions are written before their report, so a killed trial still has those of its best step
    and of its last report.

    Args:
        folder: folder for only these files of one fold.

    Attributes:
        best: the best step, whose predictions are kept; None before the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.best: int | None = None

    def add(self, step: int, predictions: Predictions | None) -> None:
        """Write the predictions of a step, if any, and delete earlier ones except the best.

        Raises:
            OSError: the file cannot be written.
        """
        refuse_foreign(self._folder, "folder")
        for file in self._folder.glob("*.npy"):
            name = PREDICTIONS.fullmatch(file.name)
            if name is not None and int(name[1]) < step and int(name[1]) != self.best:
                file.unlink()
        if predictions is not None:
            make_folder(self._folder)
            content = BytesIO()  # np.save loses errors of the last bytes of a real file
            np.save(content, predictions)
            write_whole(self._file(step), lambda file: file.write(content.getbuffer()))

    def of_best(self) -> Predictions | None:
        """Return the predictions of the best step; None if it has none."""
        if self.best is None or not self._file(self.best).exists():
            return None
        predictions: Predictions = np.load(self._file(self.best), allow_pickle=False)
        return predictions

    def _file(self, step: int) -> Path:
        return self._folder / f"{step}.npy"


def validated_predictions(
    predictions: Any, n_valid: int, name: str, *, are_values: bool = False
) -> Predictions | None:
    """Return reported predictions as an array; None stays None.

    Args:
        n_valid: number of the fold's validation rows; 0 in a study without data.
        name: name of the user's function, for messages.
        are_values: whether they are values of a regression, kept in float64; else float32.

    Raises:
        UserCodeError: they are not numbers, or not one or more per validation row.
    """
    if predictions is None:
        return None
    if isinstance(predictions, Tensor):
        predictions = predictions.detach().cpu()
        predictions = predictions.double() if are_values else predictions.float()
    try:
        array: Predictions = np.asarray(
            predictions, dtype=np.float64 if are_values else np.float32
        )
    except (ValueError, TypeError):
        raise UserCodeError(f"{name}: predictions must be an array of numbers.") from None
    if array.ndim not in (1, 2) or len(array) != n_valid or not n_valid:
        raise UserCodeError(
            f"{name}: predictions must have one row per validation row, shape ({n_valid},) or "
            f"({n_valid}, k), but got shape {array.shape}."
        )
    return array


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
