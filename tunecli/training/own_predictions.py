"""Predictions that a user's training reports of one fold, kept on the disk for its best step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tunecli.errors import UserCodeError
from tunecli.files.own import make_folder, refuse_foreign
from tunecli.study_file.counts import count
from tunecli.training.checkpoints import write_whole
from tunecli.training.losses import Predictions
from tunecli.training.trial_files import PREDICTIONS


class OwnPredictions:
    """One file for each step that may still be the best one.

    They are on the disk before their report is, so that a trial that was killed still has those of
    its best step, and of the one that was reported last.

    Args:
        folder: of this fold, for these files alone.

    Attributes:
        best: the step whose predictions are wanted; None before the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.best: int | None = None

    def add(self, step: int, predictions: Predictions | None) -> None:
        """Write those of a step, if it has any, and forget all before it but the best.

        Raises:
            OSError: they cannot be written.
        """
        refuse_foreign(self._folder, "folder")
        for earlier, file in self._files():
            if earlier < step and earlier != self.best:
                file.unlink()
        if predictions is not None:
            make_folder(self._folder)
            write_whole(self._file(step), lambda file: np.save(file, predictions))

    def of_best(self) -> Predictions | None:
        """Those of the best step; None if it came without."""
        if self.best is None or not self._file(self.best).exists():
            return None
        found: Predictions = np.load(self._file(self.best), allow_pickle=False)
        return found

    def _file(self, step: int) -> Path:
        return self._folder / f"{step}.npy"

    def _files(self) -> list[tuple[int, Path]]:
        named = ((PREDICTIONS.fullmatch(file.name), file) for file in self._folder.glob("*.npy"))
        return [(int(found[1]), file) for found, file in named if found is not None]


def checked(
    predictions: Any, n_valid: int, name: str, *, are_values: bool = False
) -> Predictions | None:
    """What was reported as predictions, as an array; None stays None.

    Args:
        n_valid: validation rows of the fold; 0 in a study without data.
        are_values: of regression, kept in float64; else float32.
        name: of the user's function, for messages.

    Raises:
        UserCodeError: they are not numbers, or not one or more for each validation row.
    """
    if predictions is None:
        return None
    if isinstance(predictions, Tensor):
        predictions = predictions.detach().cpu()
        predictions = predictions.double() if are_values else predictions.float()
    try:
        found: Predictions = np.asarray(
            predictions, dtype=np.float64 if are_values else np.float32
        )
    except (ValueError, TypeError):
        raise UserCodeError(f"{name}: predictions are an array of numbers.") from None
    if found.ndim not in (1, 2) or len(found) != n_valid or not n_valid:
        raise UserCodeError(
            f"{name}: predictions have one row for each of the fold's "
            f"{count(n_valid, 'validation row')}, ({n_valid},) or ({n_valid}, k), but got "
            f"{found.shape}."
        )
    return found
