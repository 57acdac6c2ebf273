"""Intervals of numbers, written as in mathematics: `[0, 1)` contains 0 but not 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeGuard


@dataclass(frozen=True)
class Interval:
    """Finite numbers from `low` to `high`.

    Attributes:
        has_low, has_high: whether the interval contains the end itself.
    """

    low: float = -math.inf
    high: float = math.inf
    has_low: bool = False
    has_high: bool = False

    @classmethod
    def of(cls, written: str) -> Interval:
        """Return the interval for a text such as `[0, 1)` or `(0, inf)`."""
        low, high = written[1:-1].split(",")
        return cls(float(low), float(high), written[0] == "[", written[-1] == "]")

    def __contains__(self, value: float) -> bool:
        if value in (self.low, self.high):
            return self.has_low if value == self.low else self.has_high
        return self.low < value < self.high

    def __str__(self) -> str:
        """Return words such as "at least 0 and below 1"."""
        low = f"{'at least' if self.has_low else 'above'} {self.low:g}"
        high = f"{'at most' if self.has_high else 'below'} {self.high:g}"
        ends = [(low, self.low), (high, self.high)]
        return " and ".join(words for words, end in ends if math.isfinite(end))

    @property
    def schema(self) -> dict[str, float]:
        """The keywords of a JSON Schema that say the same."""
        low = "minimum" if self.has_low else "exclusiveMinimum"
        high = "maximum" if self.has_high else "exclusiveMaximum"
        ends = {low: self.low, high: self.high}
        return {keyword: end for keyword, end in ends.items() if math.isfinite(end)}


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
