"""A model that the user's own training saved, as a network that the user's `predict` computes.

For exports, the user's `load_network`, if there is one, returns it as a network of torch.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
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


def refuse_without_predict(fit: str) -> None:
    """Refuse a training whose module has no `predict(folder, x)`.

    Args:
        fit: name of the training's function.

    Raises:
        UserCodeError: it does not exist, or cannot be called like this.
    """
    _refuse_without(fit, "predict", ("folder", "x"), "a model")


def _beside(fit: str, function: str) -> str:
    """Return the name of a function in the module of `fit`, as in `my_train.py:predict`."""
    return f"{fit.rpartition(':')[0]}:{function}"


def _refuse_without(fit: str, function: str, arguments: Sequence[str], what: str) -> None:
    """Refuse a training whose module has no such function for what needs it.

    Raises:
        UserCodeError: it does not exist, or does not take these arguments.
    """
    name, call = _beside(fit, function), f"{function}({', '.join(arguments)})"
    load_object(fit)  # a module that cannot be imported is another mistake
    try:
        inspect.signature(load_object(name)).bind(*arguments)
    except TypeError as error:
        raise UserCodeError(
            f"{name}: tunecli calls it as {call}, which it does not accept: {error}."
        ) from None
    except ValueError:  # it has no signature
        return
    except TunecliError:
        raise UserCodeError(
            f"{name.rpartition(':')[0]} has no function {call}, which {what} of {fit} needs. "
            "Write it next to fit; since the code then changes, run a new search."
        ) from None


def exportable(network: nn.Module) -> nn.Module:
    """Return a network that torch can export: that of the user's `load_network`, or itself.

    Raises:
        UserCodeError: see `UserNetwork.loaded`.
    """
    return network.loaded() if isinstance(network, UserNetwork) else network


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
        self._fit = fit
        self._name = _beside(fit, "predict")
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

    def loaded(self) -> nn.Module:
        """Return the network that the user's `load_network(folder)` returns.

        Its outputs have the shape of those of `forward`.

        Raises:
            UserCodeError: there is no such function, it raises, or it returns something else.
        """
        _refuse_without(self._fit, "load_network", ("folder",), "the export of a model")
        name = _beside(self._fit, "load_network")
        with blaming(name), redirect_stdout(sys.stderr):
            network = load_object(name)(self.folder)
        if not isinstance(network, nn.Module):
            raise UserCodeError(
                f"{name} must return a torch.nn.Module, got {type(network).__name__}."
            )
        return _Loaded(network, has_classes=self._n_classes > 0)

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


class _Loaded(nn.Module):
    """Gives the outputs of the user's network the type and shape of those of `UserNetwork`."""

    def __init__(self, network: nn.Module, *, has_classes: bool) -> None:
        super().__init__()
        self._network = network
        self._has_classes = has_classes

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self._network(x)
        return (
            outputs.float()
            if self._has_classes
            else outputs.double().reshape(outputs.shape[0], -1)
        )
