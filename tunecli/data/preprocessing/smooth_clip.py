"""Scale numbers by their quartiles, and squeeze outliers smoothly into an interval.

Holzmüller, Grinsztajn and Steinwart (2024), "Better by Default: Strong Pre-Tuned MLPs and Boosted
Trees on Tabular Data", https://arxiv.org/abs/2407.04491, section 3 and appendix A.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.errors import DataError

_FAR = 1e6
"""Multiple of the limit beyond which all numbers count alike: their squares could overflow."""


class SmoothClipScaler:
    """Scales columns to median 0 and quartiles 1 apart, then squeezes them into ±`limit`.

    A column whose quartiles are equal is scaled by half the distance of its ends instead; a
    constant one becomes 0.

    Args:
        limit: the largest absolute value. Range (0, inf).
    """

    def __init__(self, limit: float = 3.0) -> None:
        if not 0 < limit < np.inf:
            raise DataError(f"limit must be above 0 and finite, but got {limit}.", "data.scale")
        self.limit = float(limit)

    def fit(self, columns: NDArray[np.floating]) -> Self:
        """Learn medians and factors from (n, n_columns)."""
        low, self.center, high = np.quantile(columns, [0.25, 0.5, 0.75], axis=0)
        half_range = (columns.max(axis=0) - columns.min(axis=0)) / 2
        width = np.where(high > low, high - low, half_range).astype(np.float64)
        self.factor = np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)
        return self

    def transform(self, columns: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return columns scaled and squeezed."""
        scaled = torch.from_numpy((columns - self.center) * self.factor)
        squeezed: NDArray[np.floating] = smoothly_clipped(scaled, self.limit).numpy()
        return squeezed


def smoothly_clipped(x: Tensor, limit: Tensor | float) -> Tensor:
    """Return x / √(1 + (x / limit)²), which is near x for small numbers and within ±limit."""
    shares = (x / limit).clamp(-_FAR, _FAR)
    return limit * (shares / (1 + shares.square()).sqrt())
