"""Pictures of more than 8 bits: one rule per set maps their numbers to levels from 0 to 255."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

BITS = (8, 10, 12, 14, *range(16, 33))
"""Bit depths of whole numbers; a set has the smallest one that fits its largest value."""

FEWEST_LEVELS = 64
"""If a set's values would fill fewer of the 256 levels, it is scaled from least to largest."""


@dataclass(frozen=True)
class Depth:
    """The values of black and white, for all pictures of a set that hold more than 8 bits.

    Attributes:
        kind: whole numbers, or fractions.
        low: the value that becomes level 0.
        high: the end of level 255; whole numbers stay below it.
    """

    kind: Literal["whole", "real"]
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse values that are not finite, or in the wrong order."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"values from {self.low} to {self.high}")

    @classmethod
    def of(cls, kind: Literal["whole", "real"], least: float, largest: float) -> Depth:
        """Return a set's rule: by its number of bits, from 0 to 1, or from least to largest."""
        white = 1.0
        if kind == "whole" and least >= 0:
            white = float(2 ** next(n for n in BITS if largest < 2**n))
        is_narrow = white != 256 and 0 < largest - least < white * FEWEST_LEVELS / 256
        if least >= 0 and largest <= white and not is_narrow:
            return cls(kind, 0.0, white)
        return cls(kind, least, largest if largest > least else math.nextafter(least, math.inf))

    @property
    def has_white(self) -> bool:
        """Whether 0 is black and a standard number white, as in pictures of 8 bits."""
        is_white = math.log2(self.high).is_integer() if self.kind == "whole" else self.high == 1
        return self.low == 0 and is_white

    @property
    def in_words(self) -> str:
        """The range of values that become levels, in words."""
        if self.kind == "whole" and self.has_white:
            return f"values from 0 to {int(self.high) - 1:,} ({int(math.log2(self.high))} bits)"
        return f"values from {self.low:g} to {self.high:g}"

    def holds(self, numbers: NDArray[Any]) -> bool:
        """Return whether all numbers are between black and white."""
        is_open = self.kind == "whole" and self.has_white
        most = self.high - 1 if is_open else self.high
        return bool(numbers.min() >= self.low and numbers.max() <= most)

    def levels(self, numbers: NDArray[Any]) -> NDArray[np.uint8]:
        """Map numbers of any shape to 256 equally wide levels; of 16 bits, keep the upper 8."""
        scaled = (numbers.astype(np.float64) - self.low) / (self.high - self.low) * 256
        return scaled.clip(0, 255).astype(np.uint8)


OF_16_BITS = Depth("whole", 0.0, 65536.0)
"""The rule for all pictures before each set had its own."""
