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


@dataclass(frozen=True)
class OutputMeaning:
    """Maps a model's outputs to predictions.

    Attributes:
        kind: `softmax` (scores of classes), `sigmoid` (one score for two classes, or one
            classifier for each class), `value` (the first output is a standardized target),
            `log_rate` (the first output is the logarithm of a rate), `probability` (the outputs
            are the probabilities of the classes), `next_token` (scores of the token after each
            position).
        mean: added to values, or to the logarithm of rates.
        std: factor of values, applied before the mean is added.
    """

    kind: Literal["softmax", "sigmoid", "value", "log_rate", "probability", "next_token"]
    mean: float = 0.0
    std: float = 1.0

    @property
    def is_of_classes(self) -> bool:
        """Whether predictions are probabilities, not values."""
        return self.kind in ("softmax", "sigmoid", "probability")

    def __call__(self, outputs: Tensor) -> Tensor:
        """Return predictions in the type of the outputs.

        Args:
            outputs: outputs of the model, (n, n_outputs); (n, k, n_outputs) of a model that
                predicts k times; or (n, length, n_outputs) of tokens.

        Returns:
            Probabilities (n, n_classes), each row with sum 1; values (n,) in the original unit; or
            probabilities of tokens (n, length, n_outputs). NaN where an output is NaN. Those of a
            model that predicts k times are means over its predictions.
        """
        if self.kind == "next_token":
            return outputs.softmax(2)
        if outputs.ndim == 3:
            return mean_prediction(self, outputs)
        if self.kind == "softmax":
            return outputs.softmax(1)
        if self.kind == "probability":
            return outputs
        if self.kind == "value":
            return outputs[:, 0] * self.std + self.mean
        if self.kind == "log_rate":
            return (outputs[:, 0] + self.mean).exp()
        if outputs.shape[1] == 1:
            return torch.cat([(-outputs).sigmoid(), outputs.sigmoid()], dim=1)
        # p / sum(p), without dividing 0 by 0 where every sigmoid underflows.
        return functional.logsigmoid(outputs).softmax(1)


def mean_prediction(decode: Callable[[Tensor], Tensor], outputs: Tensor) -> Tensor:
    """Return the mean of a model's k predictions of each row, (n, …).

    Args:
        decode: maps outputs (rows, n_outputs) to predictions (rows, …).
        outputs: (n, k, n_outputs).
    """
    predictions = decode(outputs.flatten(0, 1))
    return predictions.reshape(-1, outputs.shape[1], *predictions.shape[1:]).mean(1)
