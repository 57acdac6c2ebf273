"""The rows of the table of benchmarks: what is compared with what, and the goal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from tests.benchmarks.taking_turns import Compared, Measure, Pair

_UNITS: dict[Measure, tuple[str, str]] = {
    "cpu": ("CPU ratio", "CPU s"),
    "wall": ("wall ratio", "wall s"),
    "memory": ("memory ratio", "MB"),
}
HEAD = (
    *("tunecli", "against", *(ratio for ratio, _ in _UNITS.values())),
    *(cell for _, unit in _UNITS.values() for cell in (unit, "against")),
    *("pairs", "goal"),
)


@dataclass(frozen=True)
class Row:
    """One comparison, and a line of the table per goal.

    Attributes:
        ours, alternative: what is compared.
        goals: largest ratios of tunecli's cost to the alternative's.
        prepare: returns the pair of runs; called only for rows that are measured.
        needs: a package that the alternative needs; empty for none.
    """

    ours: str
    alternative: str
    goals: Mapping[Measure, float]
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

    def measured(self, compared: Compared) -> Iterator[list[str]]:
        """Yield the cells of each line: costs in time, or in memory."""
        for measure, goal in self.goals.items():
            shown = ("memory",) if measure == "memory" else ("cpu", "wall")
            ratios = [compared.ratio(of) if of in shown else math.nan for of in _UNITS]
            costs = [compared.medians(of) if of in shown else (math.nan,) * 2 for of in _UNITS]
            met = "met" if compared.ratio(measure) <= goal else "missed"
            yield [
                self.ours,
                self.alternative,
                *map(_number, ratios),
                *(_number(one) for pair in costs for one in pair),
                str(len(compared.pairs)),
                f"{measure} ≤ {goal:.3g}: {met}",
            ]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def line(cells: list[str]) -> str:
    """Return a row in Markdown."""
    return f"| {' | '.join(cells)} |"
