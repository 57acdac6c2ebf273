"""The meaning of a model's outputs, as plain data that is stored with models and exports.

The loss determines it, but using a model takes no loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from tunecli.data.rows.dataset import PerTarget


@dataclass(frozen=True)
class OutputMeaning:
    """Maps a model's outputs to predictions.

    Attributes:
        kind: `softmax` (scores of classes), `sigmoid` (one score for two classes, or one
            classifier for each class), `labels` (one score for each label), `value` (the first
            outputs are standardized targets), `log_rate` (the first outputs are the logarithms of
            rates), `probability` (the outputs are the probabilities of the classes), `next_token`
            (scores of the token after each position).
        mean: added to values, or to the logarithm of rates; of several targets, one per target.
        std: factor of values, applied before the mean is added; one per target, too.
    """

    kind: Literal["softmax", "sigmoid", "labels", "value", "log_rate", "probability", "next_token"]
    mean: PerTarget = 0.0
    std: PerTarget = 1.0

    @property
    def gives_probabilities(self) -> bool:
        """Whether predictions are probabilities, not values."""
        return self.kind in ("softmax", "sigmoid", "labels", "probability")

    @property
    def of_each(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The mean and the factor of each target."""
        return _each(self.mean), _each(self.std)

    def of_targets(self, outputs: Tensor) -> Tensor:
        """Return the outputs that are values or rates, (n,); of several targets (n, n_targets)."""
        return outputs[:, : len(self.mean)] if isinstance(self.mean, tuple) else outputs[:, 0]

    def __call__(self, outputs: Tensor) -> Tensor:
        """Return predictions in the type of the outputs.

        Args:
            outputs: outputs of the model, (n, n_outputs); (n, k, n_outputs) of a model that
                predicts k times; or (n, length, n_outputs) of tokens.

        Returns:
            Probabilities (n, n_classes), each row with sum 1, or (n, n_labels); values in the
            original unit, (n,) or (n, n_targets); or probabilities of tokens (n, length,
            n_outputs). NaN where an output is NaN. Those of a model that predicts k times are
            means over its predictions.
        """
        if self.kind == "next_token":
            return outputs.softmax(2)
        if outputs.ndim == 3:
            return mean_prediction(self, outputs)
        if self.kind == "softmax":
            return outputs.softmax(1)
        if self.kind == "probability":
            return outputs
        if self.kind == "labels":
            return outputs.sigmoid()
        if self.kind in ("value", "log_rate"):
            mean, std = (outputs.new_tensor(one) for one in (self.mean, self.std))
            return self.unscaled(outputs, mean, std)
        if outputs.shape[1] == 1:
            return torch.cat([(-outputs).sigmoid(), outputs.sigmoid()], dim=1)
        # p / sum(p), without dividing 0 by 0 where every sigmoid underflows.
        return functional.logsigmoid(outputs).softmax(1)

    def unscaled(self, outputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Return values or rates in the original unit, with mean and factor as tensors."""
        targets = self.of_targets(outputs)
        return targets * std + mean if self.kind == "value" else (targets + mean).exp()


def _each(number: PerTarget) -> tuple[float, ...]:
    return number if isinstance(number, tuple) else (number,)


def mean_prediction(decode: Callable[[Tensor], Tensor], outputs: Tensor) -> Tensor:
    """Return the mean of a model's k predictions of each row, (n, …).

    Args:
        decode: maps outputs (rows, n_outputs) to predictions (rows, …).
        outputs: (n, k, n_outputs).
    """
    predictions = decode(outputs.flatten(0, 1))
    return predictions.reshape(-1, outputs.shape[1], *predictions.shape[1:]).mean(1)
