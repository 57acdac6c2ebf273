"""Soften or sharpen probabilities by one number, the temperature (Guo et al. 2017).

The temperature divides the logarithms of the probabilities, which are then normalized again. For
softmax outputs that is the same as dividing the outputs. The order of the classes is unchanged.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SMALLEST = float(np.finfo(np.float32).tiny)
"""Smaller probabilities count as this one, since their logarithms are not exact in 32 bits."""


def tempered(probabilities: Tensor, temperature: float) -> Tensor:
    """Return probabilities (n, n_classes) at a temperature: above 1 they are less certain."""
    return (probabilities.clamp(min=SMALLEST).log() / temperature).softmax(1)


def calibrated(
    predictions: NDArray[np.floating], temperature: float | None
) -> NDArray[np.floating]:
    """Return predictions at a temperature, computed in float64; unchanged without one."""
    if temperature is None:
        return predictions
    doubles = torch.from_numpy(predictions).double()
    softened: NDArray[np.floating] = tempered(doubles, temperature).float().numpy()
    return softened
