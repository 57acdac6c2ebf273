"""Forms of numbers in texts: the decimal sign, the separator of thousands, and units."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.study_file.settings.settings import DataSettings

Floats = NDArray[np.float64]

_MINUS = "\u2212"
_LIKE = {" ": " \u00a0\u2009\u202f", "'": "'\u2019"}
"""Characters that mean one separator: narrow and unbreakable spaces, the curly apostrophe."""


@dataclass(frozen=True)
class NumberForm:
    """One way to write numbers.

    Attributes:
        decimal: the decimal sign.
        thousands: the separator of groups of three digits; None for none.
        units: texts that may precede or follow a number, such as % or $.
        unit: the unit of the column if it is known; a text with another unit, or without one, is
            then not a number.
    """

    decimal: str = "."
    thousands: str | None = None
    units: tuple[str, ...] = ()
    unit: str | None = None

    @classmethod
    def of(cls, settings: DataSettings) -> NumberForm:
        """Return the form that a study asks for."""
        return cls(settings.decimal, settings.thousands, tuple(settings.units))

    def numbers(self, texts: Sequence[str], *, alone: bool = False) -> Floats:
        """Return the numbers; NaN for a text that is not a number in this form.

        Args:
            alone: whether each text is read as if it were the only one, with any of the units.
        """
        plain = [text.replace(_MINUS, "-") for text in texts]
        if self != PLAIN:
            plain = self._plain(plain, alone)
        parsed = pd.to_numeric(pd.Series(plain, dtype=object), errors="coerce")
        numbers: Floats = parsed.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers

    def unit_in(self, texts: Sequence[str]) -> str:
        """Return the unit of most numbers among some texts; empty for none."""
        return self._unit([self._pattern.fullmatch(text.strip()) for text in texts])

    def _unit(self, matches: Sequence[re.Match[str] | None]) -> str:
        units = Counter(_unit(match) for match in matches if match)
        return units.most_common(1)[0][0] if units else ""

    def _plain(self, texts: Sequence[str], alone: bool) -> list[str]:
        """Return the texts as `-1234.5`; empty for one that is not a number.

        The numbers of a column have one unit, or none: texts with a rarer unit are not numbers.
        """
        matches = [self._pattern.fullmatch(text.strip()) for text in texts]
        unit = self.unit if alone or self.unit is not None else self._unit(matches)
        return [
            _number(match) if match and (unit is None or _unit(match) == unit) else ""
            for match in matches
        ]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.units, key=len, reverse=True)
        units = "|".join(re.escape(unit) for unit in (*longest_first, ""))
        decimal, whole = re.escape(self.decimal), r"\d+"
        if self.thousands:
            gap = re.escape(_LIKE.get(self.thousands, self.thousands))
            whole = rf"[1-9]\d{{0,2}}(?:[{gap}]\d{{3}})+|\d+"  # 0.123 is a fraction
        return re.compile(
            rf"(?P<sign>[+-]?)(?P<before>{units})\s*(?P<inner>[+-]?)"
            rf"(?P<whole>{whole}|(?={decimal}\d))(?P<part>{decimal}\d*)?(?P<power>[eE][+-]?\d+)?"
            rf"\s*(?P<after>{units})",
            re.ASCII,
        )


PLAIN = NumberForm()
"""Numbers as programs write them."""


def _unit(match: re.Match[str]) -> str:
    return match["before"] + match["after"]


def _number(match: re.Match[str]) -> str:
    """Return a number as `-1234.5`; empty if it has two signs or two units."""
    if (match["sign"] and match["inner"]) or (match["before"] and match["after"]):
        return ""
    whole = re.sub(r"\D", "", match["whole"])
    part = f".{match['part'][1:]}" if match["part"] else ""
    return f"{match['sign']}{match['inner']}{whole}{part}{match['power'] or ''}"
