"""A model that the user's own training saved, as a network that the user's `predict` computes."""

from __future__ import annotations

import inspect
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunecli.data.user_code.import_user_code import blaming, load_object
from tunecli.errors import TunecliError, UserCodeError

SUM_TOLERANCE = 1e-3
"""Largest distance from 1 of the sum of a row's probabilities, which may have 16 bits."""


def predict_name(fit: str) -> str:
    """Return the name of `predict` in the module of `fit`, as in `my_train.py:predict`."""
    return f"{fit.rpartition(':')[0]}:predict"


def refuse_without_predict(fit: str) -> None:
    """Refuse a training whose module has no `predict(folder, x)`.

    Args:
        fit: name of the training's function.

    Raises:
        UserCodeError: it does not exist, or cannot be called like this.
    """
    name = predict_name(fit)
    place, _, function = name.rpartition(":")
    load_object(fit)  # a module that cannot be imported is another mistake
    try:
        inspect.signature(load_object(name)).bind(Path(), None)
    except TypeError as error:
        raise UserCodeError(
            f"{name}: tunecli calls it as predict(folder, x), which it does not accept: {error}."
        ) from None
    except ValueError:  # it has no signature
        return
    except TunecliError:
        raise UserCodeError(
            f"{place} has no function {function}(folder, x), which a model of {fit} needs. Write "
            "it next to fit; since the code then changes, run a new search."
        ) from None


class UserNetwork(nn.Module):
    """Calls the user's `predict(folder, x)`; it has no weights that torch knows.

    Args:
        fit: name of the training's function, next to which `predict` is.
        folder: the folder that the training saved the model in.
        n_classes: number of classes; 0 for regression.
    """

    def __init__(self, fit: str, folder: Path, n_classes: int) -> None:
        super().__init__()
        self.folder = folder
        self._name = predict_name(fit)
        self._n_classes = n_classes

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities (n, n_classes) or values (n, 1), float64 on the CPU.

        Raises:
            UserCodeError: `predict` raises, or returns something else.
        """
        predict = load_object(self._name)
        with blaming(self._name), redirect_stdout(sys.stderr):  # stdout is for results
            outputs = predict(self.folder, x)
        return torch.from_numpy(self._checked(outputs, len(x)))

    def _checked(self, outputs: Any, n_rows: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        if isinstance(outputs, Tensor):
            outputs = outputs.detach().cpu().double().numpy()
        try:
            array = np.asarray(outputs, dtype=np.float64)
        except (ValueError, TypeError):
            raise UserCodeError(
                f"{self._name} must return an array of numbers, got {type(outputs).__name__}."
            ) from None
        shape = (n_rows, self._n_classes) if self._n_classes else (n_rows,)
        if array.shape != shape:
            what = "probabilities (rows, classes)" if self._n_classes else "values (rows,)"
            raise UserCodeError(
                f"{self._name} must return {what}, shape {shape}, but got shape {array.shape}."
            )
        if not np.isfinite(array).all():
            raise UserCodeError(f"{self._name} returned a number that is not finite.")
        if not self._n_classes:
            return array[:, None]
        sums = array.sum(1)
        if (array < 0).any() or (np.abs(sums - 1) > SUM_TOLERANCE).any():
            raise UserCodeError(
                f"{self._name} must return probabilities of at least 0 that sum to 1 per row, "
                f"but got a row with the sum {sums[np.abs(sums - 1).argmax()]:.4g} and the lowest "
                f"number {array.min():.4g}. Apply softmax to the outputs of a network."
            )
        return array
