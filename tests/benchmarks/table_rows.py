"""The rows of the table of benchmarks: what is compared with what, and the goal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from tests.benchmarks.taking_turns import Compared, Measure, Pair

HEAD = (
    *("tunecli", "against", "CPU ratio", "wall ratio", "CPU s", "against", "wall s", "against"),
    *("pairs", "goal"),
)


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        ours, alternative: what is compared.
        measure, goal: largest ratio of tunecli's cost to the alternative's, and of which cost.
        prepare: returns the pair of runs; called only for rows that are measured.
        needs: a package that the alternative needs; empty for none.
    """

    ours: str
    alternative: str
    measure: Measure
    goal: float
    prepare: Callable[[], Pair]
    needs: str = ""

    @property
    def lacks(self) -> str:
        """The package that is not installed; empty if the row can be measured."""
        return self.needs if self.needs and find_spec(self.needs) is None else ""

    def unmeasured(self) -> list[str]:
        """Return the row of a package that is not installed."""
        missing = f"not measured: install {self.needs} by hand"
        return [self.ours, self.alternative, missing, *[""] * (len(HEAD) - 3)]

    def measured(self, compared: Compared) -> list[str]:
        """Return the cells of a row."""
        seconds = [one for of in ("cpu", "wall") for one in compared.medians(of)]
        met = "met" if compared.ratio(self.measure) <= self.goal else "missed"
        return [
            self.ours,
            self.alternative,
            *(_number(compared.ratio(of)) for of in ("cpu", "wall")),
            *map(_number, seconds),
            str(len(compared.pairs)),
            f"{self.measure} ≤ {self.goal:.3g}: {met}",
        ]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def line(cells: list[str]) -> str:
    """Return a row in Markdown."""
    return f"| {' | '.join(cells)} |"
