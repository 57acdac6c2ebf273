"""Asynchronous successive halving and Hyperband, as pure functions of curves.

The rules are those of Optuna's SuccessiveHalvingPruner and HyperbandPruner. Optuna stores the
rungs that a trial has reached as attributes of the trial; here they follow from its curve. Li et
al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (arXiv:1810.05934); Li et al.
2018, "Hyperband" (JMLR 18-185).
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.study_file.settings.settings import Component, Direction

HALVING = frozenset({"SuccessiveHalvingPruner", "HyperbandPruner"})


@dataclass(frozen=True)
class Halving:
    """Successive halving: only the best 1/factor of the trials go beyond a rung.

    Rungs end at evaluations first, first · factor, first · factor², …

    Attributes:
        first: index of the evaluation at which the first rung ends.
        bootstrap: number of trials that must reach a rung before any goes beyond it.
    """

    first: int
    factor: int
    bootstrap: int = 0

    @classmethod
    def of(cls, pruner: Component, n_evaluations: int, bracket: int) -> Halving:
        """Return the rule of a pruner for trials of `n_evaluations` evaluations.

        `min_resource: auto` is a hundredth of them, at least 1.

        Raises:
            ValueError: an argument is out of its range.
        """
        arguments = pruner.arguments
        hyperband = pruner.name == "HyperbandPruner"
        factor = arguments.get("reduction_factor", 3 if hyperband else 4)
        early = bracket if hyperband else arguments.get("min_early_stopping_rate", 0)
        start = arguments.get("min_resource", 1 if hyperband else "auto")
        if start == "auto":
            start = max((n_evaluations - 1) // 100, 1)
        if not (isinstance(start, int) and start >= 1 and factor >= 2 and early >= 0):
            raise ValueError(
                "min_resource must be at least 1 (or auto), reduction_factor at least 2 and "
                f"min_early_stopping_rate at least 0, got {dict(arguments)}."
            )
        return cls(start * factor**early, factor, arguments.get("bootstrap_count", 0))

    def stops(
        self, curve: Sequence[float], others: Sequence[Sequence[float]], direction: Direction
    ) -> bool:
        """Return whether a trial stops after the last value of `curve`.

        Args:
            others: the curves of the trials that it is compared with.
        """
        step = len(curve) - 1
        if not self._ends_rung(step):
            return False
        value = curve[step]
        rivals = [other[step] for other in others if len(other) > step] + [value]
        if math.isnan(value) or len(rivals) <= self.bootstrap:
            return True
        n_promoted = max(1, len(rivals) // self.factor)
        if direction == "maximize":
            return value < sorted(rivals, reverse=True)[n_promoted - 1]
        return value > sorted(rivals)[n_promoted - 1]

    def _ends_rung(self, step: int) -> bool:
        rung = self.first
        while rung < step:
            rung *= self.factor
        return rung == step


@dataclass(frozen=True)
class Brackets:
    """Hyperband's brackets: bracket s halves from evaluation reduction_factor**s on.

    Attributes:
        budgets: how many of every `sum(budgets)` trials each bracket gets.
    """

    budgets: tuple[int, ...]

    @classmethod
    def of(cls, arguments: Mapping[str, Any], n_evaluations: int) -> Brackets:
        """Return the brackets for trials of `n_evaluations`, Hyperband's largest resource."""
        factor = arguments.get("reduction_factor", 3)
        longest = arguments.get("max_resource", "auto")
        longest = n_evaluations if longest == "auto" else longest
        ratio = max(1.0, longest / arguments.get("min_resource", 1))
        n_brackets = math.floor(math.log(ratio, factor) + 1e-9) + 1
        lefts = reversed(range(n_brackets))
        return cls(tuple(math.ceil(n_brackets * factor**left / (left + 1)) for left in lefts))

    def choose(self, key: str) -> int:
        """Return the bracket of a trial by a hash of `key`, with frequencies as the budgets."""
        left = binascii.crc32(key.encode()) % sum(self.budgets)
        for bracket, budget in enumerate(self.budgets):
            left -= budget
            if left < 0:
                return bracket
        raise AssertionError("the budgets add up")
