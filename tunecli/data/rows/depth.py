"""Pictures of more than 8 bits: one rule for a whole set makes levels from 0 to 255 of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

BITS = (8, 10, 12, 14, *range(16, 33))
"""Depths that whole numbers may have; a set has the smallest that its largest value fits into."""

FEWEST_LEVELS = 64
"""A set whose values would have fewer levels of 256 goes from the least to the largest value."""


@dataclass(frozen=True)
class Depth:
    """What black and white are, for all pictures of a set that hold more than 8 bits.

    Attributes:
        kind: whole numbers, or fractions.
        low: what becomes level 0.
        high: where level 255 ends; whole numbers stay below it.
    """

    kind: Literal["whole", "real"]
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse a rule by which nothing can be computed."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"values from {self.low} to {self.high}")

    @classmethod
    def of(cls, kind: Literal["whole", "real"], least: float, largest: float) -> Depth:
        """The rule for a set: by its number of bits, from 0 to 1, or from least to largest."""
        white = 1.0
        if kind == "whole" and least >= 0:
            white = float(2 ** next(n for n in BITS if largest < 2**n))
        is_narrow = white != 256 and 0 < largest - least < white * FEWEST_LEVELS / 256
        if least >= 0 and largest <= white and not is_narrow:
            return cls(kind, 0.0, white)
        return cls(kind, least, largest if largest > least else math.nextafter(least, math.inf))

    @property
    def has_white(self) -> bool:
        """Whether 0 is black and a known number white, as in pictures of 8 bits."""
        is_white = math.log2(self.high).is_integer() if self.kind == "whole" else self.high == 1
        return self.low == 0 and is_white

    @property
    def in_words(self) -> str:
        """The values that become levels."""
        if self.kind == "whole" and self.has_white:
            return f"values from 0 to {int(self.high) - 1:,} ({int(math.log2(self.high))} bits)"
        return f"values from {self.low:g} to {self.high:g}"

    def holds(self, numbers: NDArray[Any]) -> bool:
        """Whether all numbers are between black and white."""
        is_open = self.kind == "whole" and self.has_white
        most = self.high - 1 if is_open else self.high
        return bool(numbers.min() >= self.low and numbers.max() <= most)

    def levels(self, numbers: NDArray[Any]) -> NDArray[np.uint8]:
        """Levels from 0 to 255, equally wide, of numbers of any shape; of 16 bits the upper 8."""
        scaled = (numbers.astype(np.float64) - self.low) / (self.high - self.low) * 256
        return scaled.clip(0, 255).astype(np.uint8)


OF_16_BITS = Depth("whole", 0.0, 65536.0)
"""By which pictures were read before sets had a rule of their own."""
