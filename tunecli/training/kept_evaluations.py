"""Keep the weights and the outputs of the evaluations that may be a trial's best one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tunecli.training.step.losses import Predictions


@dataclass
class KeptEvaluation:
    """A copy of the weights at an evaluation, and the predictions for the validation rows."""

    weights: dict[str, Tensor]
    outputs: Predictions | None = None

    def overwrite(self, weights: Mapping[str, Tensor], outputs: Predictions | None) -> None:
        """Become a copy of another evaluation, in the same memory."""
        for name, weight in weights.items():
            self.weights[name].copy_(weight)
        self.outputs = outputs


class KeptEvaluations:
    """Copies of the evaluations that may be the best one, each by its index.

    Memory is used again: a large model has no room for a copy more than needed.

    Attributes:
        best: index of the best one so far; None before the first.
    """

    def __init__(self) -> None:
        self.best: int | None = None
        self._kept: dict[int, KeptEvaluation] = {}

    def update(
        self,
        last: int,
        candidates: Collection[int],
        best: int | None,
        weights: Mapping[str, Tensor],
        outputs: Predictions | None,
    ) -> None:
        """Forget all but the candidates, and keep the last evaluation if it is one of them.

        Args:
            last: index of the last evaluation, whose weights and outputs are given.
        """
        unneeded = [step for step in self._kept if step == last or step not in candidates]
        free = [self._kept.pop(step) for step in unneeded]
        if last in candidates:
            copy = free.pop() if free else KeptEvaluation(_cloned(weights))
            copy.overwrite(weights, outputs)
            self._kept[last] = copy
        self.best = best

    @property
    def n_copies(self) -> int:
        """Number of evaluations that are kept."""
        return len(self._kept)

    @property
    def of_best(self) -> KeptEvaluation | None:
        """The best evaluation so far; None before the first."""
        return None if self.best is None else self._kept[self.best]

    def move(self, device: torch.device) -> None:
        """Move all copies to a device."""
        for kept in self._kept.values():
            kept.weights = {name: weight.to(device) for name, weight in kept.weights.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, for `torch.load(weights_only=True)`."""
        kept = {
            step: {"weights": one.weights, "outputs": outputs_as_tensor(one.outputs)}
            for step, one in self._kept.items()
        }
        return {"best": self.best, "kept": kept}

    def load_state_dict(self, state: Mapping[str, Any], names: Iterable[str]) -> None:
        """Resume from a `state_dict`.

        Args:
            names: weights to keep; earlier versions also stored frozen ones that folds share.
        """
        self.best = state["best"]
        self._kept = {
            step: KeptEvaluation(
                {name: one["weights"][name] for name in names},
                outputs_from_tensor(one["outputs"]),
            )
            for step, one in state["kept"].items()
        }


def _cloned(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in weights.items()}


def outputs_as_tensor(array: Predictions | None) -> Tensor | None:
    """Return predictions as `torch.load(weights_only=True)` accepts them."""
    return None if array is None else torch.from_numpy(array)


def outputs_from_tensor(tensor: Tensor | None) -> Predictions | None:
    """Return the predictions of `outputs_as_tensor`."""
    return None if tensor is None else tensor.numpy()
